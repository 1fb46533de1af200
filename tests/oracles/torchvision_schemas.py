"""Importing this lets torchvision be imported beside a torch for the CPU, where its compiled library does not load.

On import torchvision describes operators which that library would have declared, and stops at the first that nobody
declared. Without a kernel they can be described, and calling one stays an error. Found by trial with torchvision 0.28.
"""

import importlib.util
from pathlib import Path

import torch

SIZE = "SymInt pooled_height, SymInt pooled_width"
INPUT = "SymInt batch_size, SymInt channels, SymInt height, SymInt width"
POOL = f"Tensor input, Tensor rois, float spatial_scale, {SIZE}"
BACK = f"Tensor grad, Tensor rois{{}}, float spatial_scale, {SIZE}, "
BOXES = "Tensor dets, Tensor scores, float iou_threshold"
STEPS = ", ".join(f"SymInt {name}_{axis}" for name in ("stride", "pad", "dilation") for axis in "hw")
CONVOLUTION = f"Tensor input, Tensor weight, Tensor offset, Tensor mask, Tensor bias, {STEPS}"
GROUPS = "SymInt groups, SymInt offset_groups, bool use_mask"

OPERATORS = (
    f"nms({BOXES}) -> Tensor",
    f"qnms({BOXES}) -> Tensor",
    f"roi_align({POOL}, int sampling_ratio, bool aligned) -> Tensor",
    f"_roi_align_backward({BACK.format('')}{INPUT}, int sampling_ratio, bool aligned) -> Tensor",
    f"roi_pool({POOL}) -> (Tensor, Tensor)",
    f"_roi_pool_backward({BACK.format(', Tensor argmax')}{INPUT}) -> Tensor",
    f"ps_roi_align({POOL}, int sampling_ratio) -> (Tensor, Tensor)",
    f"_ps_roi_align_backward({BACK.format(', Tensor channel_mapping')}int sampling_ratio, {INPUT}) -> Tensor",
    f"ps_roi_pool({POOL}) -> (Tensor, Tensor)",
    f"_ps_roi_pool_backward({BACK.format(', Tensor channel_mapping')}{INPUT}) -> Tensor",
    f"deform_conv2d({CONVOLUTION}, {GROUPS}) -> Tensor",
    f"_deform_conv2d_backward(Tensor grad, {CONVOLUTION}, {GROUPS}) -> (Tensor, Tensor, Tensor, Tensor, Tensor)",
)


def compiled_library_loads() -> bool:
    """Whether torchvision's own library declares its operators: the same name cannot be declared twice."""
    place = importlib.util.find_spec("torchvision").submodule_search_locations[0]
    try:
        torch.ops.load_library(next(Path(place).glob("_C*.so")))
    except (OSError, StopIteration):
        return False
    return True


if not compiled_library_loads():
    LIBRARY = torch.library.Library("torchvision", "DEF")  # the operators are known for as long as this is alive
    for operator in OPERATORS:
        LIBRARY.define(operator)
