"""The main environment has no posteriors: the subspace is there all the same and says what it lacks."""

import importlib.util
import tomllib
from pathlib import Path

import pytest
import torch

from modescape.core.models.mlp import mlp
from modescape.core.splits import Split, scaling_of
from modescape.core.subspaces.abstract import Problem
from modescape.core.subspaces.catalogue import EXTRAS, SUBSPACES
from modescape.core.subspaces.variational import Variational
from modescape.core.weights import Trajectory, of_module
from modescape.errors import SettingsError


def a_trajectory(step=0):
    return Trajectory(of_module(mlp((1, 2), 3), origin=0), (step,), "member/0")


def a_problem():
    inputs = torch.arange(8.0).reshape(4, 1, 2)
    return Problem(mlp((1, 2), 3), Split(inputs, torch.zeros(4).long()), scaling_of("raw", inputs), None, root=0)


def test_fit_says_what_is_missing_and_how_to_get_it():
    assert importlib.util.find_spec("posteriors") is None
    with pytest.raises(SettingsError) as caught:
        Variational().fit(a_trajectory(), a_problem())
    assert str(caught.value) == (
        "variational needs the library posteriors (No module named 'posteriors'): pip install modescape[variational]"
    )


def test_fit_needs_a_problem():
    with pytest.raises(ValueError, match="variational needs the network and the training data"):
        Variational().fit(a_trajectory())


def test_an_initialisation_that_is_not_there_cannot_be_started_from():
    with pytest.raises(ValueError, match=r"the trajectory member/0 begins at step 5; take start = 'solution'"):
        Variational(start="initialisation").fit(a_trajectory(5), a_problem())


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"epochs": 0}, "epochs must be at least 1, got 0"),
        ({"batch": 0}, "batch must be at least 1, got 0"),
        ({"rate": 0.0}, "rate must be finite and above 0, got 0.0"),
        ({"rate": float("nan")}, "rate must be finite"),
        ({"prior_deviation": float("inf")}, "prior_deviation must be finite and above 0, got inf"),
        ({"temperature": 0.0}, "temperature must be finite and above 0, got 0.0"),
        ({"initial_deviation": -1.0}, "initial_deviation must be finite and above 0, got -1.0"),
        ({"scale": -1.0}, "scale must be finite and zero or more"),
    ],
)
def test_impossible_settings_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        Variational(**given)


def test_the_extra_has_the_name_of_the_subspace_and_brings_the_library():
    settings = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))
    assert SUBSPACES["variational"] is Variational
    wanted = settings["project"]["optional-dependencies"]["variational"]
    assert [requirement.split(">=")[0] for requirement in wanted] == [EXTRAS["variational"]] == ["posteriors"]
