"""The checklist as data: complete, and about columns that exist."""

import copy
import inspect
import tomllib
from importlib import resources

import pytest

from modescape.app.scorecard.claims import claims, read
from modescape.app.scorecard.measures import MEASURES, SOURCES, TOLD
from modescape.tables import STUDIES

NOT_COLUMNS = ("table", "data", "network")


def record():
    return tomllib.loads((resources.files("modescape.app.scorecard") / "claims.toml").read_text())


def test_all_thirty_claims_are_there_with_what_the_paper_has_and_where():
    found = claims()
    assert [claim.number for claim in found] == list(range(1, 31))
    assert all(claim.title and claim.paper and claim.source for claim in found)


def test_every_check_reads_columns_and_kinds_that_the_tables_have():
    cells = [cell for claim in claims() for check in claim.checks for cell in check.of]
    assert len(cells) > 60
    for cell in cells:
        study, _, name = str(cell["table"]).partition(".")
        kinds = {column.name: column.kind for column in STUDIES[study][name].columns}
        for column, wanted in cell.items():
            if column not in NOT_COLUMNS:
                assert isinstance(wanted, {"text": str, "int": int}[kinds[column]]), cell


def test_every_measure_is_told_and_says_what_it_reads():
    assert MEASURES.keys() == TOLD.keys()
    used = {check.how for claim in claims() for check in claim.checks}
    assert used == MEASURES.keys()
    whole = {check.how for claim in claims() for check in claim.checks if not check.of}
    assert whole == SOURCES.keys()
    for tables in SOURCES.values():
        assert all(table.partition(".")[2] in STUDIES[table.partition(".")[0]] for table in tables)
    assert all(len(inspect.signature(measure).parameters) == 3 for measure in MEASURES.values())


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda claim: claim["checks"][0].update(how="guess"), "no measure 'guess'"),
        (lambda claim: claim["checks"][0].update(band=[2.0, 1.0]), "band must be"),
        (lambda claim: claim["checks"][0].update(of=[{"quantity": "gap"}]), "needs a table"),
        (lambda claim: claim.update(not_tested="because"), "and not both"),
        (lambda claim: claim.update(verdict="holds"), "Unexpected keyword"),
        (lambda claim: claim.update(number=7), "rising numbers"),
    ],
)
def test_a_checklist_with_a_mistake_is_refused(change, told):
    whole = copy.deepcopy(record())
    change(whole["claims"][0])
    with pytest.raises(ValueError, match=told):
        read(whole)
