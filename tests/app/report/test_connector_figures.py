"""The figures of connectors: their numbers, captions and looks, from tables small enough to be read by eye."""

from typing import Any

import matplotlib
import numpy as np
import pytest

from modescape.app.report.figures import connectors, triangles
from modescape.app.report.figures.catalogue import FIGURES
from modescape.app.report.figures.image import encode
from modescape.app.report.figures.omitted import Omitted
from modescape.landscape_tables import CONNECTOR_PROFILES, TRIANGLES
from modescape.tables import CONNECTING, Schema, Table, from_rows

Tables = dict[str, Table]
EVERY = [pytest.param(module, id=stem) for stem, module in FIGURES["connectors"]]
QUANTITIES = ("train_nll", "nll", "accuracy", "agreement_first", "agreement_second")


def filled(schema: Schema, rows: list[dict[str, Any]]) -> Table:
    """A table whose other columns are zero."""
    return from_rows(schema, [{**dict.fromkeys(schema.names, 0.0), **row} for row in rows])


def made(names: tuple[str, ...] = ("straight", "bezier", "mine"), pieces: int = 3, reach: float = 1.5) -> Tables:
    """Two paths for each connector, of five points; and triangles of 30 degrees, first sides of length 2, 3, ..."""
    profiles = []
    for place, name in enumerate(names):
        for first in (3, 5):
            for t in (0.0, 0.25, 0.5, 0.75, 1.0):
                deep = (0.6 if name == "straight" else 0.01 * place) * (1 - abs(1 - 2 * t)) + 0.01 * (first == 5)
                row = {"connector": name, "first": first, "second": first + 1, "t": t, "accuracy": 0.8 - deep}
                row |= {"train_nll": 0.2 + deep, "disagreement_first": t / 4, "disagreement_second": (1 - t) / 4}
                profiles.append(row)
    corners = [(2 + k) * np.array([np.cos(np.pi * k / 6), np.sin(np.pi * k / 6)]) for k in range(pieces + 1)]
    points = []
    for piece in range(pieces):
        for quantity in QUANTITIES:
            for u in (1.0, 0.0, 0.5):
                for v in (reach, 0.0, 0.5 * reach):
                    x, y = v * ((1 - u) * corners[piece] + u * corners[piece + 1])
                    value = piece + u + 10 * v if quantity == "train_nll" else 0.5 + 0.1 * u
                    row = {"connector": "bent", "first": 3, "second": 4, "piece": piece, "u": u, "v": v, "x": x, "y": y}
                    points.append({**row, "quantity": quantity, "value": value})
    return {"profiles": filled(CONNECTOR_PROFILES, profiles), "triangles": filled(TRIANGLES, points)}


def test_profiles_are_kept_by_connector_and_path() -> None:
    found = connectors.numbers(made())
    assert [paths.name for paths in found] == ["straight", "bezier", "mine"]
    straight = found[0]
    assert straight.t.tolist() == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert straight.values["accuracy"] == pytest.approx(
        np.array([[0.8, 0.5, 0.2, 0.5, 0.8], [0.79, 0.49, 0.19, 0.49, 0.79]])
    )
    assert found[1].values["disagreement_second"][1].tolist() == [0.25, 0.1875, 0.125, 0.0625, 0.0]


def test_the_caption_tells_how_far_accuracy_falls() -> None:
    told = connectors.caption(connectors.numbers(made()))
    assert "accuracy falls to 19.5% on the straight line and 78.5% along the best path (Bezier)" in told
    assert "The ends are right on 79.5% of the examples" in told
    alone = connectors.caption(connectors.numbers(made(names=("straight",))))
    assert "accuracy falls to 19.5% on the straight line, on" in alone
    bent = connectors.caption(connectors.numbers(made(names=("mine",))))
    assert "accuracy falls to 79.5% along the best path (mine), on" in bent


def test_a_connector_looks_the_same_in_every_run() -> None:
    many, few = (
        connectors.numbers(made(("straight", "bent", "star", "mine"))),
        connectors.numbers(made(("star", "mine"))),
    )
    looks = [{p.name: connectors._look(p.name, [q.name for q in found]) for p in found} for found in (many, few)]
    assert looks[0]["star"] == looks[1]["star"]
    assert looks[0]["mine"] == looks[1]["mine"]
    assert len(set(looks[0].values())) == 4


def test_triangles_are_grids_outwards_and_along_and_the_path_runs_through_their_corners() -> None:
    found = triangles.numbers(made())
    assert (found.connector, found.first, found.second) == ("bent", 3, 4)
    assert len(found.pieces) == 3
    loss = found.pieces[1].values["train_nll"]
    assert loss.tolist() == [[1.0, 1.5, 2.0], [8.5, 9.0, 9.5], [16.0, 16.5, 17.0]]
    wanted = [(2 + k) * np.array([np.cos(np.pi * k / 6), np.sin(np.pi * k / 6)]) for k in range(4)]
    assert found.path == pytest.approx(np.array(wanted))
    outer = np.stack([found.pieces[0].x[-1], found.pieces[0].y[-1]], axis=1)
    assert outer[0] == pytest.approx(1.5 * found.path[0])
    assert "path of 3 straight pieces" in triangles.caption(found)


def test_colours_of_agreement_end_below_what_is_found_around_the_path() -> None:
    found = triangles.numbers(made())
    assert triangles._limits(found, "agreement_first") == pytest.approx((0.45, 1.0))
    assert triangles._limits(found, "accuracy") == (0.0, 1.0)
    assert triangles._limits(found, "train_nll")[1] < 18


def test_without_paths_nothing_is_drawn() -> None:
    nothing = {"profiles": from_rows(CONNECTOR_PROFILES, []), "triangles": from_rows(TRIANGLES, [])}
    for module in (connectors, triangles):
        with pytest.raises(Omitted, match="Omitted: this run holds no"):
            module.numbers(nothing)


@pytest.mark.parametrize("module", EVERY)
@pytest.mark.parametrize("how", [{}, {"names": ("straight",), "pieces": 1, "reach": 1.0}], ids=["some", "least"])
def test_every_figure_of_connectors_draws(module: Any, how: dict[str, Any]) -> None:
    found = module.numbers(made(**how))
    assert encode(module.draw(found), "png").startswith(b"\x89PNG")
    assert module.caption(found).endswith(".") and module.TITLE


def test_what_is_not_a_number_is_left_out() -> None:
    tables = made()
    values = np.full(len(tables["triangles"]), np.nan)
    broken = Table(TRIANGLES, {**tables["triangles"].columns, "value": values})
    found = triangles.numbers({**tables, "triangles": broken})
    assert encode(triangles.draw(found), "png").startswith(b"\x89PNG")


@pytest.mark.parametrize("module", EVERY)
def test_same_numbers_same_bytes_whatever_the_settings(module: Any) -> None:
    found = module.numbers(made())
    once = [encode(module.draw(found), form) for form in ("png", "svg")]
    with matplotlib.rc_context({"font.size": 30, "svg.hashsalt": "another", "xtick.direction": "in"}):
        assert [encode(module.draw(found), form) for form in ("png", "svg")] == once


def test_tables_made_up_are_those_of_the_study() -> None:
    assert all(table.schema is CONNECTING[name] for name, table in made().items())
