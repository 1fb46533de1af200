"""The README's Python runs as it stands there."""

import re
from pathlib import Path

import torch
from torch import nn

from modescape.core.weights import Trajectory, flatten, of_module, stack

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def test_members_are_drawn_as_the_readme_says():
    (block,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    torch.manual_seed(0)
    checkpoints = stack([of_module(nn.Linear(3, 4), origin=2) for _ in range(12)])
    names = {"torch": torch, "trajectory": Trajectory(checkpoints, tuple(range(12)), "member/2")}
    exec(block, names)
    members = names["members"]
    assert len(members) == 20
    assert set(members.origin) == {2}
    # a low-rank Gaussian of rank 5 spans five axes about its mean
    apart = flatten(members) - flatten(members).mean(dim=0)
    assert int(torch.linalg.matrix_rank(apart.double(), atol=1e-4)) == 5
