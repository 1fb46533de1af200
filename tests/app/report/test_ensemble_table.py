"""The tables of ensembles on the page: which rows, which numbers, which is best, and that names stay text."""

from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import made_up_ensembles as made_up
import pytest

from modescape.app.report.ensemble_table import ensemble_table, training_costs
from modescape.app.report.ensembles import Ensemble, called, fullest, scores_in, worth_a_line
from modescape.app.report.page import ENSEMBLE_GLOSSARY, GLOSSARY, write_report
from modescape.app.report.record import RunRecord
from modescape.app.report.score_table import Cell, Column, Group, Line, ScoreTable, score_table
from modescape.app.report.shift_table import best_detectors, shift_table
from modescape.ensemble_tables import COSTS, EQUIVALENTS
from modescape.tables import ENSEMBLING, SCORES, SHIFT, STUDIES, Table, from_rows

NAN, INF, DASH = float("nan"), float("inf"), "\N{EN DASH}"
TIMES = "\N{MULTIPLICATION SIGN}"
TWO = ("independent", "swag")
HOSTILE = "<script>alert(1)</script>"
Make = Callable[..., RunRecord]


def names(table: ScoreTable | None) -> list[tuple[str, str]]:
    assert table is not None
    return [(line.name, line.note) for line in table.lines]


def cells(table: ScoreTable | None, row: int) -> dict[str, Cell]:
    assert table is not None
    columns = [f"{group.title}/{c.title}".strip("/") for group in table.groups for c in group.columns]
    return dict(zip(columns, table.lines[row].cells, strict=True))


def test_rows_are_some_sizes_of_independent_networks_then_the_ends_of_every_other_method() -> None:
    found = ensemble_table(made_up.ensembling(("swag", "independent", "weight_average"), 7))
    assert names(found) == [
        ("1 network", ""), ("2 networks", "independent"), ("5 networks", "independent"), ("7 networks", "independent"),
        ("SWAG", f"1 network {TIMES} 10"), ("SWAG", f"7 networks {TIMES} 10"),
        ("weight average", "1 network"), ("weight average", "7 networks"),
    ]  # fmt: skip


def test_cells_hold_value_interval_and_cost() -> None:
    tables = made_up.ensembling(TWO, 4)
    row = cells(ensemble_table(tables), 3)
    nll = made_up.level("swag", 1, 10, TWO)
    assert row["Calibrated NLL"].text == f"{nll:.3f}"
    assert row["Calibrated NLL"].note == f"{nll - made_up.SPAN:.3f} to {nll + made_up.SPAN:.3f}"
    assert row["Accuracy"].text == f"{100 * (1.02 - 0.33 * nll):.1f}%"
    assert row["Forward passes"].text == "10"
    last = cells(ensemble_table(tables), 4)
    assert (last["Forward passes"].text, last["Training cost"].text) == ("40", f"{4 * 1.02:.2f}")
    assert cells(ensemble_table(tables), 0)["Jensen-Shannon"].text == DASH


def test_the_best_of_a_column_is_marked_by_its_own_direction_and_costs_are_not_judged() -> None:
    found = ensemble_table(made_up.ensembling(TWO, 4))
    assert found is not None
    best = {column: [row for row in range(5) if cells(found, row)[column].best] for column in cells(found, 0)}
    assert best["Accuracy"] == best["Calibrated NLL"] == best["Brier score"] == [4]
    assert best["Jensen-Shannon"] == best["Forward passes"] == best["Training cost"] == []


def test_ties_are_all_best_and_one_row_has_no_best() -> None:
    groups = [Group("", (Column("more", better=1), Column("less", better=-1), Column("neither")))]
    lines = [Line(str(v), "", (Cell("", value=v),) * 3) for v in (1.0, 3.0, 3.0, NAN)]
    marked = score_table("t", "", groups, lines)
    assert [[cell.best for cell in line.cells] for line in marked.lines] == [
        [False, True, False], [True, False, False], [True, False, False], [False, False, False]
    ]  # fmt: skip
    assert not any(cell.best for cell in score_table("t", "", groups, lines[:1]).lines[0].cells)


@pytest.mark.parametrize(
    ("value", "low", "high", "text", "note"),
    [
        (2.34, 1.0, INF, "2.3", "≤ 1 to > 4"),
        (1.0, 1.0, 1.5, "≤ 1", "≤ 1 to 1.5"),
        (INF, 3.1, INF, "> 4", "3.1 to > 4"),
        (INF, INF, INF, "> 4", ""),
        (2.0, NAN, NAN, "2.0", ""),
    ],
)
def test_equivalents_have_ends(value: float, low: float, high: float, text: str, note: str) -> None:
    tables = made_up.ensembling(TWO, 4)
    row = {"method": "swag", "solutions": 1, "samples": 10, "equivalent": value, "low": low, "high": high}
    found = cells(ensemble_table({**tables, "equivalents": made_up.table(EQUIVALENTS, [row])}), 3)
    assert (found["Deep-ensemble equivalent"].text, found["Deep-ensemble equivalent"].note) == (text, note)


def test_what_is_not_known_is_a_dash() -> None:
    tables = made_up.ensembling(TWO, 2)
    rows = [row for row in tables["scores"].rows() if row["score"] == "accuracy"]
    bare = {"scores": from_rows(SCORES, rows), "equivalents": from_rows(EQUIVALENTS, []), "costs": from_rows(COSTS, [])}
    row = cells(ensemble_table({**tables, **bare}), 2)
    assert [name for name, cell in row.items() if cell.text != DASH] == ["Accuracy", "Forward passes"]
    assert ensemble_table({**tables, "scores": from_rows(SCORES, [])}) is None


def test_costs_that_are_not_numbers_are_left_out_and_a_network_costs_one() -> None:
    rows = [{"method": "swag", "samples": 5, "relative": NAN}, {"method": "laplace", "samples": 5, "relative": 1.5}]
    assert training_costs(made_up.table(COSTS, rows)) == {("independent", 1): 1.0, ("laplace", 5): 1.5}


def test_shift_has_columns_for_severities_and_unknown_inputs() -> None:
    found = shift_table(made_up.shift(TWO, (1, 2, 5), (1, 3), ("contrast",)))
    assert found is not None
    assert [(group.title, [column.title for column in group.columns]) for group in found.groups] == [
        ("Accuracy at severity", ["0", "1", "3"]),
        ("NLL at severity (nats)", ["0", "1", "3"]),
        ("Unknown inputs, AUROC", ["svhn", "textures"]),
    ]
    assert [name for name, _ in names(found)] == ["1 network", "2 networks", "5 networks", "SWAG", "SWAG"]
    row = cells(found, 2)
    assert row["NLL at severity (nats)/3"].text == f"{1.04 * made_up.level('independent', 5, 1, TWO) * 1.18:.3f}"
    assert row["Unknown inputs, AUROC/svhn"].note.endswith("\nenergy")
    assert cells(found, 4)["Accuracy at severity/3"].best and cells(found, 4)["NLL at severity (nats)/3"].best


def test_shift_without_shift_has_what_there_is() -> None:
    found = shift_table(made_up.shift(TWO, severities=(), unknown=("svhn",)))
    assert found is not None and [group.title for group in found.groups] == ["Unknown inputs, AUROC"]
    assert shift_table(made_up.shift(TWO, severities=(), unknown=())) is None


def test_the_best_detector_is_each_ensembles_own() -> None:
    tables = made_up.shift(TWO, unknown=("svhn",))
    rows = tables["detection"].rows()
    for row in rows:
        if (row["method"], row["detector"], row["score"]) == ("swag", "epistemic", "auroc"):
            row["value"] = 0.99
    detection = from_rows(tables["detection"].schema, rows)
    found = best_detectors(detection, "unknown/svhn")
    assert found[Ensemble("swag", 1, 10)][0] == "epistemic"
    assert found[Ensemble("independent", 1, 1)][0] == "energy"


def test_ensembles_have_names_in_words() -> None:
    told = [("independent", 1, 1), ("independent", 3, 1), ("swag", 1, 5), ("swag", 2, 5), ("bootstrap", 4, 1)]
    assert [called(Ensemble(*one)) for one in told] == [
        "one network", "3 independent networks", "SWAG of one network, 5 members",
        "SWAG of 2 networks, 5 members each", "4 networks on bootstrap samples",
    ]  # fmt: skip


def test_the_fullest_ensemble_of_a_size_is_that_with_most_members() -> None:
    ones = [Ensemble("swag", 1, 5), Ensemble("swag", 1, 10), Ensemble("swag", 2, 2), Ensemble("swag", 1, 1)]
    assert fullest(ones) == [Ensemble("swag", 1, 10), Ensemble("swag", 2, 2)]
    assert worth_a_line(ones) == fullest(ones)


def test_scores_that_are_not_numbers_are_left_out() -> None:
    row = {"method": "swag", "solutions": 1, "samples": 1, "score": "nll", "split": "test"}
    table = made_up.table(SCORES, [{**row, "value": NAN}, {**row, "samples": 2, "value": INF}])
    assert list(scores_in(table, score="nll")) == [Ensemble("swag", 1, 2)]


class Page(HTMLParser):
    """The text of a page, and its tags in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def page_of(make: Make, folder: Path, tables: dict[str, dict[str, Table]]) -> str:
    return write_report(make({}, tables=tables), folder).read_text()


@pytest.fixture(scope="module")
def both() -> dict[str, dict[str, Table]]:
    return {
        "ensembling": made_up.ensembling((*TWO, HOSTILE), 3),
        "shift": made_up.shift((*TWO, HOSTILE), (1, 2), (1,), ("contrast", HOSTILE), (HOSTILE,)),
    }


def test_verdicts_then_tables_then_pictures_and_names_stay_text(
    record_of: Make, both: dict[str, dict[str, Table]], tmp_path: Path
) -> None:
    html = page_of(record_of, tmp_path, both)
    marks = [
        '<p class="lead">At the training cost of 3', '<p class="lead second">At 3 forward passes',
        "over subsets of networks<", '<p class="lead">At severity 5', "<h2>The ensembles</h2>",
        "<h2>The ensembles under shift</h2>", 'id="size_curves"', 'id="worth"', 'id="severity"', 'id="detection"',
    ]  # fmt: skip
    places = [html.index(mark) for mark in marks]
    assert places == sorted(places)
    assert html.count('class="lead second"') == 1
    page = Page(html)
    assert "script" not in page.tags
    assert page.text.count(HOSTILE) >= 6
    assert html.count('<strong title="best of this column">') >= 8


def test_a_range_of_one_value_is_a_dash(record_of: Make, both: dict[str, dict[str, Table]], tmp_path: Path) -> None:
    html = page_of(record_of, tmp_path, {"ensembling": {"answers": both["ensembling"]["answers"]} | EMPTY})
    answers = html[html.index("<tbody>") : html.index("</tbody>")]
    assert answers.count("\N{MINUS SIGN}0.019 to \N{MINUS SIGN}0.007") == 4
    assert answers.count(f'<td class="n">{DASH}</td>') == 4


EMPTY = {name: from_rows(schema, []) for name, schema in ENSEMBLING.items() if name != "answers"}


def test_words_are_those_of_the_studies_that_are_there(record_of: Make, tmp_path: Path) -> None:
    plain = page_of(record_of, tmp_path, {})
    ensembling = page_of(record_of, tmp_path, {"ensembling": {**EMPTY, "answers": answerless()}})
    for word in ("method", "ensemble", "calibrated NLL", "deep-ensemble equivalent"):
        assert f"<dt>{word}</dt>" not in plain and f"<dt>{word}</dt>" in ensembling
    assert "<dt>severity</dt>" not in ensembling
    assert "severity" in ENSEMBLE_GLOSSARY["shift"] and not set(GLOSSARY) & set(ENSEMBLE_GLOSSARY["shift"])


def answerless() -> Any:
    return from_rows(ENSEMBLING["answers"], [])


def test_decisions_come_before_explanations() -> None:
    assert list(STUDIES)[:2] == ["ensembling", "shift"]


def test_made_up_tables_are_those_of_the_studies() -> None:
    for found, schemas in ((made_up.ensembling(), ENSEMBLING), (made_up.shift(), SHIFT)):
        assert {name: table.schema for name, table in found.items()} == schemas
