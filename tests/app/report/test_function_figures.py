"""The figures of the study ``disagreement``: numbers, captions and looks, from tables that can be read by eye."""

import numpy as np
import pytest

from modescape.app.report.figures import function_map, function_pairs, function_plane
from modescape.app.report.figures.catalogue import FIGURES
from modescape.app.report.figures.image import encode
from modescape.app.report.figures.omitted import Omitted
from modescape.function_tables import FUNCTION_MAP, FUNCTION_PAIRS
from modescape.tables import CURVES, PLANE, from_rows

MODULES = (function_pairs, function_plane, function_map)


def tables_of(members=(0, 2, 5), divergence=0.05):
    pairs = [(a, b) for a in members for b in members if a < b]
    blank = dict.fromkeys(FUNCTION_PAIRS.names, 0.1)
    rows = [
        {**blank, "member_a": a, "member_b": b, "disagreement": (a + b) / 100, "jensen_shannon": divergence * (1 + a)}
        for a, b in pairs
    ]
    zero = dict.fromkeys(PLANE.names, 0.0)
    plane = [{**zero, "kind": "base", "origin": m, "number": m, "accuracy": 0.8 + m / 100} for m in members]
    plane += [
        {**zero, "kind": "independent", "origin": a, "number": b, "accuracy": 0.8, "normalised_disagreement": 0.9}
        for a in members
        for b in members
        if a != b and len(members) > 1
    ]
    ends = ((0.1, 1.0), (0.8, 0.0))
    curves = [
        {"curve": name, "origin": m, "accuracy": x, "normalised_disagreement": y}
        for m in members
        for name in ("upper", "lower")
        for x, y in ends
    ]
    points = [
        {"method": method, "member": m, "x": m, "y": -m, "explained": 0.75, "stress": 0.125}
        for method in ("pca", "mds")
        for m in members
    ]
    several = len(members) > 1
    return {
        "pairs": from_rows(FUNCTION_PAIRS, rows),
        "plane": from_rows(PLANE, plane if several else []),
        "curves": from_rows(CURVES, curves if several else []),
        "map": from_rows(FUNCTION_MAP, points if len(members) > 2 else []),
    }


def test_the_figures_are_in_the_catalogue():
    assert [module for _, module in FIGURES["disagreement"]] == list(MODULES)


def test_matrices_hold_every_pair_on_both_sides():
    found = function_pairs.numbers(tables_of())
    assert found.members == (0, 2, 5)
    wanted = np.array([[0, 0.02, 0.05], [0.02, 0, 0.07], [0.05, 0.07, 0]])
    np.testing.assert_allclose(found.disagreement, wanted)
    np.testing.assert_allclose(found.divergence, found.divergence.T)
    assert found.divergence[1, 2] == pytest.approx(0.15)
    assert "3 pairs" in function_pairs.caption(found)
    assert "4.7% of the examples on average, from 2.0% to 7.0%" in function_pairs.caption(found)


def test_of_classes_alone_there_is_no_divergence():
    found = function_pairs.numbers(tables_of(divergence=np.nan))
    assert found.divergence is None
    assert "Jensen" not in function_pairs.caption(found)
    assert len(function_pairs.draw(found).axes) < len(function_pairs.draw(function_pairs.numbers(tables_of())).axes)


def test_the_plane_tells_of_networks_alone():
    found = function_plane.numbers(tables_of())
    assert [each.origin for each in found] == [0, 2, 5]
    caption = function_plane.caption(found)
    assert "6 pairs of a base and another, at 0.90 on average" in caption
    assert "checkpoints" not in caption
    axes = function_plane.draw(found).axes
    assert [each.get_title() for each in axes] == [f"base: network {m}" for m in (0, 2, 5)]
    stars = [mark.get_offsets().tolist() for mark in axes[0].collections]
    assert stars == [[[0.8, 0.9], [0.8, 0.9]], [[0.8, 0.0]]]
    # Both curves and every star lie inside.
    assert axes[0].get_xlim()[0] < 0.1
    assert axes[0].get_xlim()[1] > 0.8


def test_the_map_tells_its_fit():
    found = function_map.numbers(tables_of())
    assert [each.name for each in found] == ["PCA", "MDS"]
    assert "keeps 75% of the variance" in function_map.caption(found)
    assert "stress 0.12" in function_map.caption(found)


@pytest.mark.parametrize("module", MODULES)
def test_too_few_networks_are_told(module):
    with pytest.raises(Omitted, match="Omitted: "):
        module.numbers(tables_of((3,)))


@pytest.mark.parametrize("members", [(0, 1, 2), tuple(range(14))])
@pytest.mark.parametrize("module", MODULES)
def test_they_can_be_drawn_for_few_and_for_many(module, members):
    picture = encode(module.draw(module.numbers(tables_of(members))), "png")
    assert picture.startswith(b"\x89PNG")
