"""Whole recipes at real size, against bands around what the paper and its re-implementations found.

Not part of `./run test`: run with `pytest -m recipe`. CIFAR-10 must be in $MODESCAPE_DATA. A run outside a band is not
wrong by that alone: the bands say where to look.
"""

import pytest

from modescape.app.jobs.perform import perform
from modescape.app.jobs.prepare import Options, prepare
from modescape.app.jobs.recipe import find, read

pytestmark = [pytest.mark.recipe, pytest.mark.timeout(0)]


def answers(name, root):
    recipe = read(find(name))
    outcome = perform(prepare(recipe, Options()), recipe.studies, root, {}, lambda happening: None)
    assert outcome.failures == {}
    found = {}
    for tables in outcome.tables.values():
        found |= {row["quantity"]: row for row in tables["answers"].rows()}
    return found


def check_plane(found):
    """What the paper claims of samples around one solution."""
    assert found["gap"]["low"] > 0
    assert found["sample_near_base"]["value"] < found["independent_normalised_disagreement"]["value"]
    assert found["purity_predictions"]["value"] > 0.99
    assert found["divergence_independent"]["value"] > 2 * found["divergence_trajectory"]["value"]
    assert found["divergence_independent"]["value"] > found["divergence_diagonal_gaussian"]["value"]


def check_common(found):
    """What the paper claims of every architecture."""
    assert found["disagreement_within"]["value"] < 0.5 * found["disagreement_between"]["value"]
    assert 0.7 <= found["normalised_disagreement"]["value"] <= 1.1
    assert abs(found["similarity_between"]["value"]) < 0.05
    assert found["purity_second_half"]["value"] > 0.99
    assert found["ensemble_gain"]["low"] > 0


def test_digits(tmp_path):
    found = answers("digits", tmp_path / "run")
    check_common(found)
    check_plane(found)
    assert found["accuracy_member"]["value"] > 0.88


def test_mnist1d(tmp_path):
    found = answers("mnist1d", tmp_path / "run")
    check_common(found)
    check_plane(found)
    assert 0.035 <= found["ensemble_gain"]["value"] <= 0.065


def test_cifar10_small_cnn(tmp_path):
    found = answers("cifar10-small-cnn", tmp_path / "run")
    check_common(found)
    check_plane(found)
    assert 0.60 <= found["accuracy_member"]["value"] <= 0.72
    assert 0.23 <= found["disagreement_between"]["value"] <= 0.36
    assert found["dominated"]["value"] == 0
    for name in ("random_direction", "weight_dropout", "diagonal_gaussian", "low_rank_gaussian"):
        assert 0.15 <= found[f"exponent_{name}"]["value"] <= 0.45
