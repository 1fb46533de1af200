"""The README's Python runs as it stands there."""

import re
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn

import modescape
from modescape.core.engine.notes import EngineNote
from modescape.core.weights import Trajectory, flatten, of_module, stack

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")

BLOCKS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


def make_net():
    """A small network, found by name."""
    return nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))


def test_the_landscape_of_ones_own_network_is_shown_as_the_readme_says(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, make_net.__module__, sys.modules[__name__])
    # On fewer points than in the README, where the defaults are those of a real network.
    fewer = ("cross_sections.grid=5", "cross_sections.points=5", "cross_sections.train_examples=20")
    monkeypatch.setattr(modescape, "landscape", partial(modescape.landscape, settings=fewer), raising=False)
    chance = torch.Generator().manual_seed(0)
    inputs = torch.randn(30, 1, 4, generator=chance)
    names = {"make_net": make_net, "network_a": make_net(), "network_b": make_net()}
    with pytest.warns(EngineNote, match="one set of examples"):
        exec(BLOCKS[0], names | {"inputs": inputs, "targets": (inputs.sum(dim=(1, 2)) > 0).long()})
    assert "report: runs/mine/report.html" in capsys.readouterr().out


def test_members_are_drawn_as_the_readme_says():
    block = BLOCKS[-1]
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
