"""The page of the scorecard: every claim of the paper on every run."""

from collections.abc import Mapping, Sequence
from typing import Any

from modescape.app.report.page import environment
from modescape.app.report.scripts import policy


def scorecard_page(sentence: str, runs: Sequence[Mapping[str, str]], rows: Sequence[Mapping[str, Any]]) -> bytes:
    """One self-contained page, from plain values.

    ``runs`` have name, title, summary, departures and made; ``rows`` are those of ``scorecard.words.rows_of``.
    """
    template = environment().get_template("scorecard.html.jinja")
    page = template.render(sentence=sentence, runs=runs, rows=rows, policy=policy(()))
    return page.encode("utf-8", "backslashreplace")
