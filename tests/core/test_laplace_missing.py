"""The main environment has no laplace-torch: the subspace is there all the same and says what it lacks."""

import importlib.util
import tomllib
from pathlib import Path

import pytest
import torch

from modescape.core.models.mlp import mlp
from modescape.core.splits import Split, scaling_of
from modescape.core.subspaces.abstract import Problem
from modescape.core.subspaces.catalogue import EXTRAS, SUBSPACES
from modescape.core.subspaces.laplace import Laplace
from modescape.core.weights import Trajectory, of_module
from modescape.errors import SettingsError


def a_trajectory():
    return Trajectory(of_module(mlp((1, 2), 3), origin=0), (0,), "member/0")


def a_problem():
    inputs = torch.arange(8.0).reshape(4, 1, 2)
    return Problem(mlp((1, 2), 3), Split(inputs, torch.zeros(4).long()), scaling_of("raw", inputs), None, root=0)


def test_fit_says_what_is_missing_and_how_to_get_it():
    assert importlib.util.find_spec("laplace") is None
    with pytest.raises(SettingsError) as caught:
        Laplace().fit(a_trajectory(), a_problem())
    assert str(caught.value) == (
        "laplace needs the library laplace-torch (No module named 'laplace'): pip install modescape[laplace]"
    )


def test_fit_needs_a_problem():
    with pytest.raises(ValueError, match="laplace needs the network and the training data"):
        Laplace().fit(a_trajectory())


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"prior_precision": 0.0}, "prior_precision must be finite and above 0, got 0.0"),
        ({"prior_precision": float("nan")}, "prior_precision must be finite"),
        ({"prior_precision": float("inf")}, "prior_precision must be finite"),
        ({"examples": 0}, "examples must be at least 1, got 0"),
        ({"scale": -1.0}, "scale must be finite and zero or more"),
    ],
)
def test_impossible_settings_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        Laplace(**given)


def test_every_extra_that_a_subspace_needs_exists():
    settings = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))
    assert EXTRAS["laplace"] == "laplace"
    assert EXTRAS.keys() <= SUBSPACES.keys()
    assert EXTRAS.keys() <= settings["project"]["optional-dependencies"].keys()
