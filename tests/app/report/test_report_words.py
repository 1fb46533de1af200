"""Numbers, durations and settings as words."""

import pytest

from modescape.app.report import words

NAN, DASH = float("nan"), "\N{EN DASH}"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (NAN, DASH),
        (0.0, "0"),
        (0.27, "0.270"),
        (-0.0354, "\N{MINUS SIGN}0.035"),
        (0.00012, "0.00012"),
        (12.34, "12.3"),
        (5312.4, "5,312"),
        (float("inf"), "inf"),
    ],
)
def test_numbers(value: float, text: str) -> None:
    assert words.number(value) == text


def test_spans_need_both_ends() -> None:
    assert words.span(0.1, 0.2) == "0.100 to 0.200"
    assert words.span(NAN, 0.2) == words.span(0.1, NAN) == DASH


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(3.21, "3.2 s"), (59.96, "1 min 0 s"), (75.2, "1 min 15 s"), (3725, "1 h 2 min"), (NAN, DASH)],
)
def test_durations(seconds: float, text: str) -> None:
    assert words.duration(seconds) == text


def test_counts() -> None:
    assert [words.counted(n, "pair") for n in (0, 1, 1225)] == ["0 pairs", "1 pair", "1,225 pairs"]


def test_settings_keep_their_nesting() -> None:
    settings = {
        "name": "x",
        "on": True,
        "net": {"none": None, "widths": [1, 2], "deep": {"a": 0.1}},
        "many": [{"b": 1}],
    }
    assert words.sections(settings) == [
        ("general", [(0, "name", "x"), (0, "on", "yes")]),
        ("net", [(0, "none", DASH), (0, "widths", "1, 2"), (0, "deep", None), (1, "a", "0.1")]),
        ("many", [(0, "1", None), (1, "b", "1")]),
    ]
