"""Importing this lets the metrics of torch-uncertainty be imported, and its temperature scaler, without all the rest.

Its own ``__init__`` asks for lightning, timm and more, of which no metric uses anything. So its packages stand in here,
empty but with their places, and the modules below them are its own.
"""

import importlib
import importlib.util
import sys
import types
from pathlib import Path

PLACE = Path(importlib.util.find_spec("torch_uncertainty").submodule_search_locations[0])
EMPTY = ("", ".utils", ".post_processing", ".post_processing.calibration")


def stand_in(name):
    module = types.ModuleType(f"torch_uncertainty{name}")
    module.__path__ = [str(PLACE.joinpath(*name.split(".")[1:]))]
    sys.modules[module.__name__] = module
    return module


MODULES = {name: stand_in(name) for name in EMPTY}
MODULES[".utils"].check_interval_shapes = importlib.import_module(
    "torch_uncertainty.utils.checks"
).check_interval_shapes
ABSTRACT = importlib.import_module("torch_uncertainty.post_processing.abstract")
MODULES[".post_processing"].PostProcessing = ABSTRACT.PostProcessing
