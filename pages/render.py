"""Fill in the README and the pages of questions: every measured number in them is read from a stored result.

``python pages/render.py`` writes them; with ``--check`` it says which are not what the results give.
"""

import json
import math
import re
import statistics
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from modescape.app.jobs.judged import card_of
from modescape.app.jobs.scorecard import as_json
from modescape.app.report.words import duration
from modescape.app.runs.history import wall_seconds
from modescape.app.runs.layout import Layout, is_run
from modescape.app.runs.run import read_identity
from modescape.app.runs.tables_file import read_tables
from modescape.app.scorecard.card import Card
from modescape.app.scorecard.markdown import markdown
from modescape.app.scorecard.words import rows_of, summary

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "docs" / "results"
TEMPLATES = ROOT / "pages"
NOTE = "<!-- Filled in from {template} and the stored results by pages/render.py: change that file, not this one. -->\n"


@dataclass(frozen=True)
class Number:
    """A number of a table, with its interval and its range where it has them."""

    value: float
    low: float = math.nan
    high: float = math.nan
    least: float = math.nan
    most: float = math.nan
    count: int = 0


class Results:
    """One published run."""

    def __init__(self, root: Path) -> None:
        self.root, self.name = root, root.name
        self.identity = read_identity(root)

    @cached_property
    def _tables(self) -> dict[str, dict[str, Any]]:
        return {}

    def table(self, name: str) -> list[dict[str, Any]]:
        """The rows of "study.table"."""
        study, _, table = name.partition(".")
        if study not in self._tables:
            found = read_tables(Layout(self.root), study)
            if found is None:
                raise LookupError(f"{self.root} has no study {study}")
            self._tables[study] = {key: one.rows() for key, one in found.items()}
        rows: list[dict[str, Any]] = self._tables[study][table]
        return rows

    def rows(self, name: str, **where: Any) -> list[dict[str, Any]]:
        """The rows that have these values."""
        return [row for row in self.table(name) if all(row[key] == value for key, value in where.items())]

    def cell(self, name: str, **where: Any) -> Number:
        """The number of the one row that has these values."""
        rows = self.rows(name, **where)
        if len(rows) != 1:
            raise LookupError(f"{self.name}, {name}: {len(rows)} rows with {where}")
        return Number(**{field.name: rows[0][field.name] for field in fields(Number) if field.name in rows[0]})

    def answer(self, study: str, quantity: str) -> Number:
        """An answer of a study."""
        return self.cell(f"{study}.answers", quantity=quantity)

    def has(self, study: str) -> bool:
        """Whether the study was run."""
        return Layout(self.root).tables(study).is_dir()

    @property
    def title(self) -> str:
        """What it is of."""
        return str(self.identity["source"]["title"])

    @property
    def command(self) -> str:
        """What makes it."""
        return str(self.identity["source"]["command"])

    @property
    def wall(self) -> str:
        """How long the run took, all starts together."""
        return duration(wall_seconds(self.root))

    @property
    def machine(self) -> Mapping[str, str]:
        """What it ran on."""
        return dict(self.identity["machine"])

    @property
    def training(self) -> Mapping[str, Any]:
        """How its networks were trained."""
        return dict(self.identity["belongs"]["recipe"]["training"])


class Speeds:
    """The stored benchmark."""

    def __init__(self, path: Path) -> None:
        self._found = json.loads(path.read_text())["comparisons"]
        self.name = path.with_suffix(".md").name

    def rate(self, comparison: str, contestant: str) -> float:
        """Median speed, in the comparison's unit."""
        return statistics.median(self._of(comparison, contestant)["rates"])

    def ratio(self, comparison: str, contestant: str) -> float:
        """Median over rounds of how much faster modescape is than this contestant."""
        return statistics.median(self._of(comparison, contestant)["ratio"])

    def _of(self, comparison: str, contestant: str) -> dict[str, Any]:
        rows = [one for one in self._found[comparison]["contestants"] if one["name"] == contestant]
        if len(rows) != 1:
            raise LookupError(f"the benchmark {comparison} has no contestant {contestant}")
        return dict(rows[0])


def percent(number: Number | float, digits: int = 1) -> str:
    """A share as a percentage."""
    return f"{100 * _value(number):.{digits}f}%"


def points(number: Number | float, digits: int = 1) -> str:
    """A difference of shares in points, with its sign."""
    return f"{100 * _value(number):+.{digits}f}"


def plain(number: Number | float, digits: int = 2) -> str:
    """A number with so many digits behind the point."""
    return f"{_value(number):,.{digits}f}"


def interval(number: Number, digits: int = 2, share: bool = False) -> str:
    """The 95% interval."""
    return _span(number.low, number.high, digits, share)


def spread(number: Number, digits: int = 2, share: bool = False) -> str:
    """The range over members, pairs or subsets."""
    return _span(number.least, number.most, digits, share)


def _span(first: float, last: float, digits: int, share: bool) -> str:
    if math.isnan(first) or math.isnan(last):
        return ""
    low, high = (100 * end if share else end for end in (first, last))
    return f"{low:,.{digits}f} to {high:,.{digits}f}"


def worth(number: float) -> str:
    """How many independent networks an ensemble is worth."""
    return "more than were trained" if math.isinf(number) else "at most 1" if number <= 1 else f"{number:.1f}"


def _value(number: Number | float) -> float:
    return number.value if isinstance(number, Number) else float(number)


def stored_runs() -> dict[str, Results]:
    """The published runs by name."""
    return {path.name: Results(path) for path in sorted(RESULTS.iterdir()) if is_run(path)}


def stored_card() -> Card:
    """The scorecard of the published runs of the paper's data, judged anew from their tables."""
    named = [name for name in stored_runs() if name.startswith(("cifar", "imagenet"))]
    return card_of([RESULTS / name for name in named])


def environment() -> Environment:
    """What templates are filled in by."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    filters = (percent, points, plain, interval, spread, worth, duration)
    made.filters.update({one.__name__: one for one in filters})
    card = stored_card()
    benchmark = max((ROOT / "benchmarks").glob("*.json"))
    made.globals.update(
        runs=stored_runs(), speeds=Speeds(benchmark), card=card, claims=rows_of(card), summary=summary, abs=abs
    )
    return made


def pages() -> Iterator[tuple[Path, str]]:
    """Every page: where it goes, and what is in it."""
    made = environment()
    for template in sorted(TEMPLATES.rglob("*.md.jinja")):
        name = template.relative_to(TEMPLATES).as_posix()
        place = ROOT / "README.md" if name == "README.md.jinja" else ROOT / "docs" / name.removesuffix(".jinja")
        text = re.sub(r"\n{3,}", "\n\n", made.get_template(name).render())
        # A README begins with its title, for those who show its first lines.
        yield place, text if place.name == "README.md" else NOTE.format(template=f"pages/{name}") + text
    card = stored_card()
    yield RESULTS / "scorecard.md", markdown(card)
    yield RESULTS / "scorecard.json", as_json(card)


def stale() -> list[Path]:
    """Pages that are not what the results give."""
    return [place for place, text in pages() if not place.is_file() or place.read_text() != text]


def main() -> int:
    """Write the pages, or say which are stale."""
    if sys.argv[1:] == ["--check"]:
        found = stale()
        for place in found:
            sys.stdout.write(f"{place.relative_to(ROOT)} is not what the results give: run python pages/render.py\n")
        return 1 if found else 0
    for place, text in pages():
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        sys.stdout.write(f"wrote {place.relative_to(ROOT)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
