"""Verdicts, and what is told of them."""

import json
import math
from dataclasses import replace

import paper_tables as made
import pytest

from modescape.app.report.scorecard_page import scorecard_page
from modescape.app.scorecard.agreement import compare, read_card
from modescape.app.scorecard.card import FAILS, HOLDS, NOT_TESTED, PARTLY, TOLD_ONLY, Judged, judge
from modescape.app.scorecard.claims import Check, Claim
from modescape.app.scorecard.markdown import markdown
from modescape.app.scorecard.words import band_text, lines, record_of, rows_of, summary
from modescape.errors import RunError


def run(name="mine", network="small_cnn", data="cifar10", optimiser="adam", **values):
    values = values or {"good": (0.5, 0.45, 0.55, 0.4, 0.6), "bad": (0.9, 0.8, 1.0, 0.7, 1.1), "edge": 0.6}
    return Judged(
        name, "A run", data, network, optimiser, {"trajectories": {"answers": made.answers("trajectories", **values)}}
    )


def check(quantity, band=(0.4, 0.6)):
    cell = {"table": "trajectories.answers", "quantity": quantity}
    return Check(says=f"how {quantity}", how="value", of=[cell], band=None if band is None else list(band))


def claim(*checks, number=1, networks=("small_cnn",), **more):
    return Claim(
        number=number,
        title="A claim",
        paper="so",
        source="figure 1",
        networks=list(networks),
        checks=list(checks),
        **more,
    )


@pytest.mark.parametrize(
    ("checks", "verdict"),
    [
        (["good"], HOLDS),
        (["edge"], HOLDS),
        (["bad"], FAILS),
        (["good", "bad"], PARTLY),
        (["good", "absent"], NOT_TESTED),
        (["bad", "absent"], FAILS),
        (["good", "bad", "absent"], PARTLY),
        (["absent"], NOT_TESTED),
    ],
)
def test_a_claim_holds_if_every_check_does(checks, verdict):
    (found,) = judge([run()], [claim(*map(check, checks))]).verdicts
    assert (found.verdict, found.run, found.elsewhere) == (verdict, "mine", False)
    assert ("quantity absent" in found.reason) == ("absent" in checks)


def test_a_check_without_a_band_is_told_and_not_judged():
    assert judge([run()], [claim(check("bad", None))]).verdicts[0].verdict == TOLD_ONLY
    assert judge([run()], [claim(check("bad", None), check("good"))]).verdicts[0].verdict == HOLDS


@pytest.mark.parametrize(
    ("band", "sure"), [((0.4, 0.6), True), ((0.5, 0.6), False), ((0.6, 0.7), True), ((0.0, 0.5), False)]
)
def test_a_verdict_is_sure_if_the_interval_crosses_no_edge(band, sure):
    (line,) = judge([run()], [claim(check("good", band))]).verdicts[0].lines
    assert line.sure is sure
    (line,) = judge([run()], [claim(check("edge", band))]).verdicts[0].lines
    assert line.sure is None


def test_a_claim_is_judged_on_other_networks_and_says_so_unless_it_is_about_one_alone():
    other = run("other", network="medium_cnn")
    (found,) = judge([other], [claim(check("good"))]).verdicts
    assert (found.verdict, found.elsewhere) == (HOLDS, True)
    (found,) = judge([other], [claim(check("good"), only=True)]).verdicts
    assert (found.verdict, found.run, found.reason) == (NOT_TESTED, "", "there is no run of small_cnn on cifar10")
    for stranger in (run(data="digits"), run(optimiser="sgd")):
        assert judge([stranger], [claim(check("good"))]).verdicts[0].run == ""
    (found,) = judge([run()], [claim(check("good"), optimiser="sgd")]).verdicts
    assert found.reason == "there is no run of small_cnn on cifar10 trained by sgd"


def test_a_claim_across_runs_reads_both_and_is_judged_once():
    cells = [
        {"data": data, "network": "resnet20", "table": "trajectories.answers", "quantity": "gap"} for data in ("a", "b")
    ]
    across = claim(
        Check(says="gap", how="difference", of=cells, band=[0.0, math.inf]),
        networks=["resnet20"],
        data=["a"],
        across=True,
    )
    runs = [
        run("one", "resnet20", "a", gap=0.7),
        run("two", "resnet20", "b", gap=0.4),
        run("three", "resnet20", "a", gap=9),
    ]
    (found,) = judge(runs, [across]).verdicts
    assert (found.run, found.verdict, found.lines[0].measured.value) == ("one", HOLDS, pytest.approx(0.3))
    (found,) = judge(runs[:1], [across]).verdicts
    assert (found.verdict, found.reason) == (NOT_TESTED, "there is no run of resnet20 on b")


def test_the_card_is_told_as_json_without_numbers_that_json_does_not_have():
    card = judge(
        [run()], [claim(check("edge", (0.5, math.inf)), check("absent")), claim(not_tested="no way", number=2)]
    )
    record = json.loads(json.dumps(record_of(card), allow_nan=False))
    first, second = record["verdicts"]
    assert first["checks"][0]["band"] == [0.5, None]
    assert (first["checks"][0]["value"], first["checks"][0]["low"]) == (0.6, None)
    assert (second["verdict"], second["reason"], second["checks"]) == (NOT_TESTED, "no way", [])
    assert record["runs"][0]["name"] == "mine"
    assert summary(card, "mine") == "1 claim: 1 not tested"


def test_a_name_from_a_run_is_text_in_every_form():
    hostile = replace(run(), name="<script>alert(1)</script>", title="a|b")
    card = judge([hostile], [claim(check("good"))])
    told = {"name": hostile.name, "title": "<b>", "summary": "", "departures": "", "made": ""}
    page = scorecard_page("so", [told, told], rows_of(card)).decode()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<b>" not in page
    # A code span of Markdown is text, and a bar ends no cell.
    text = markdown(card)
    assert "`<script>alert(1)</script>`" in text
    assert "a\\|b" in text
    assert any("A claim [<script>" in line for line in lines(card))


def test_bands_in_words():
    assert [band_text(band) for band in (None, (1, 1), (0.5, math.inf), (-math.inf, 0.5), (0, 1))] == [
        "",
        "1.000",
        "0.500 or more",
        "0.500 or less",
        "0 to 1.000",
    ]


def compared(here, there):
    asked = [claim(check("x", (0.0, 1.0)))]
    cards = [record_of(judge([run(named, x=numbers)], asked)) for named, numbers in (("a", here), ("b", there))]
    return compare(*cards)


@pytest.mark.parametrize(
    ("here", "there", "agree"),
    [
        ((0.5, 0.4, 0.6, 0.5, 0.5), (0.65, 0.55, 0.7, 0.65, 0.65), True),
        ((0.5, 0.45, 0.55, 0.5, 0.5), (0.65, 0.6, 0.7, 0.65, 0.65), False),
        ((0.5, 0.45, 0.55, 0.3, 0.7), (0.65, 0.6, 0.7, 0.65, 0.65), True),
        ((0.5, math.nan, math.nan, 0.3, 0.7), (0.65, 0.6, 0.7, 0.65, 0.65), True),
        ((0.5, math.nan, math.nan, 0.3, 0.6), (0.65, 0.6, 0.7, 0.65, 0.65), False),
        (0.5, 0.5, True),
        (0.5, 0.6, None),
    ],
)
def test_cards_agree_where_intervals_overlap_or_a_range_holds_the_other_value(here, there, agree):
    (found,) = compared(here, there)
    assert (found.agree, found.same_verdict) == (agree, True)
    (turned,) = compared(there, here)
    assert turned.agree == agree


def test_a_verdict_that_turns_is_told():
    (found,) = compared((0.9, 0.7, 1.1, 0.9, 0.9), (1.1, 0.9, 1.3, 1.1, 1.1))
    assert (found.agree, found.same_verdict) == (True, False)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "cannot read"),
        ("[]", "no scorecard"),
        ("{", "no scorecard"),
        ('{"form": 2, "runs": [], "verdicts": []}', "form 2"),
    ],
)
def test_a_file_that_is_no_card_is_refused(tmp_path, content, told):
    path = tmp_path / "card.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(RunError, match=told):
        read_card(path)
