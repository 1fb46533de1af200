"""One self-contained page that tells what a run found, how, and how to run it again."""

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from modescape.app.report import words
from modescape.app.report.ensemble_table import ensemble_table
from modescape.app.report.figures.catalogue import FIGURES, SCENES, FigureModule
from modescape.app.report.figures.image import encode
from modescape.app.report.figures.omitted import Omitted
from modescape.app.report.record import RunRecord
from modescape.app.report.score_table import ScoreTable
from modescape.app.report.scripts import as_data, policy, surface_scripts
from modescape.app.report.shift_table import shift_table
from modescape.app.runs.commit import write_file
from modescape.tables import Table, title_of

GLOSSARY = {
    "member": "one of the trained networks",
    "checkpoint": "the weights of a member at one step of its training",
    "trajectory": "all checkpoints of one training, in order",
    "solution": "the last checkpoint of a trajectory",
    "disagreement": "the fraction of examples for which two checkpoints predict different classes",
    "normalised disagreement": "disagreement with a base solution over the compared network's own error rate",
    "subspace": "a distribution of weights around one solution, from which members are drawn",
    "similarity": "the cosine between the weights of two checkpoints: 1 is the same direction, 0 is at right angles",
}

_ENSEMBLES = {
    "method": "a way to get the networks that are averaged",
    "ensemble": "the mean of the probabilities that several networks predict",
    "calibrated NLL": "negative log-likelihood after the probabilities are softened or sharpened by one temperature",
}
ENSEMBLE_GLOSSARY = {
    "ensembling": _ENSEMBLES
    | {
        "deep-ensemble equivalent": "as many independent networks reach the calibrated NLL of an ensemble",
    },
    "shift": _ENSEMBLES | {"severity": "how strongly inputs are corrupted, from 0 (not at all) to 5"},
    "cross_sections": {
        "cross-section": "a line or a plane through weight space: every point of it is a network",
        "agreement": "the fraction of examples for which two networks predict the same class",
        "normalised agreement": "1 minus the normalised disagreement; 0 where errors are independent",
    },
}
"""More words, each shown where its study is in the report."""

TABLES: dict[str, Callable[[Mapping[str, Table]], ScoreTable | None]] = {
    "ensembling": ensemble_table,
    "shift": shift_table,
}
"""Study -> the table that the page shows between its answers and its figures."""

_CHANCE = {"diversity_accuracy": "examples and solutions"}
_RANGES = {"ensembling": "subsets of networks", "shift": "subsets of networks, or families"}


@dataclass(frozen=True)
class Picture:
    """One figure as the page shows it; without images, ``caption`` says why it was omitted."""

    stem: str
    title: str
    caption: str
    png: bytes = b""
    svg: bytes = b""
    scene: str = ""
    """What a script draws in place of the image, where the browser can."""

    @property
    def source(self) -> str:
        """The image itself, for a page that needs no other file."""
        return "data:image/png;base64," + base64.b64encode(self.png).decode("ascii")

    @property
    def width(self) -> int:
        """Pixels on the page: half of what the image has, so that it stays sharp on a dense screen."""
        return int.from_bytes(self.png[16:20], "big") // 2

    @property
    def height(self) -> int:
        """The same downwards."""
        return int.from_bytes(self.png[20:24], "big") // 2


def write_report(record: RunRecord, folder: Path) -> Path:
    """Write ``report.html``, and its figures as PNG and SVG under ``figures/``, into the folder; return the page.

    Everything is drawn before anything is written, and the page is replaced last and whole: when something goes
    wrong the report that was there stays as it was.
    """
    pictures = pictures_of(record.tables)
    page = _page(record, pictures).encode("utf-8", "backslashreplace")
    figures = folder / "figures"
    files = {
        figures / f"{picture.stem}.{form}": content
        for study in pictures.values()
        for picture in study
        for form, content in (("png", picture.png), ("svg", picture.svg))
    }
    for path, content in files.items():
        if content:
            write_file(path, content)
    write_file(folder / "report.html", page)
    # The old page linked to figures that the new one omits; only now does nothing need them.
    for path in (path for path, content in files.items() if not content):
        path.unlink(missing_ok=True)
    return folder / "report.html"


def pictures_of(studies: Mapping[str, Mapping[str, Table]]) -> dict[str, list[Picture]]:
    """Every figure of every study, drawn; one that could not be has its reason as caption."""
    return {
        study: [_picture(stem, module, tables) for stem, module in FIGURES.get(study, [])]
        for study, tables in studies.items()
    }


def _picture(stem: str, module: FigureModule, tables: Mapping[str, Table]) -> Picture:
    try:
        numbers = module.numbers(tables)
    except Omitted as reason:
        return Picture(stem, module.TITLE, str(reason))
    figure = module.draw(numbers)
    scene = as_data(SCENES[stem](numbers)) if stem in SCENES else ""
    return Picture(stem, module.TITLE, module.caption(numbers), encode(figure, "png"), encode(figure, "svg"), scene)


def environment() -> Environment:
    """What the templates of pages are filled in by; everything is escaped."""
    made = Environment(
        loader=PackageLoader("modescape.app.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(number=words.number, duration=words.duration)
    return made


def _page(record: RunRecord, pictures: Mapping[str, list[Picture]]) -> str:
    template = environment().get_template("page.html.jinja")
    scripts = surface_scripts() if any(one.scene for study in pictures.values() for one in study) else ()
    return template.render(
        record=record,
        scripts=scripts,
        policy=policy(scripts),
        studies=[_study(name, tables, pictures[name]) for name, tables in record.tables.items()],
        members=_members(record.tables),
        settings=words.sections(record.settings),
        facts=[
            (title, words.rows(part))
            for title, part in (
                ("Data", record.data),
                ("Seeds", record.seeds),
                ("Versions", record.versions),
                ("Machine", record.machine),
            )
            if part
        ],
        glossary=_glossary(record.tables),
        span=words.span,
        counted=words.counted,
    )


def _study(name: str, tables: Mapping[str, Table], pictures: list[Picture]) -> dict[str, Any]:
    answers = tables["answers"].rows() if "answers" in tables else []
    table = TABLES[name](tables) if name in TABLES else None
    return {
        "name": name,
        "title": title_of(name).capitalize(),
        "chance": _CHANCE.get(name, "examples"),
        "ranges": _RANGES.get(name, "pairs or members"),
        "answers": answers,
        "leads": _leads(answers),
        "tables": [table] if table is not None else [],
        "pictures": pictures,
    }


def _leads(answers: list[dict[str, Any]]) -> list[str]:
    """The first answer, and the first verdict of each other cost: their order puts the largest budget first."""
    first: dict[str, str] = {}
    for place, answer in enumerate(answers):
        kind = "_".join(answer["quantity"].split("_")[:2]) if answer["quantity"].startswith("verdict_") else ""
        if place == 0 or kind:
            first.setdefault(kind, answer["sentence"])
    return list(first.values())


def _glossary(studies: Mapping[str, Any]) -> dict[str, str]:
    """The words, with those of the studies that are there."""
    words_of = [ENSEMBLE_GLOSSARY.get(name, {}) for name in studies]
    return GLOSSARY | {word: meaning for mine in words_of for word, meaning in mine.items()}


def _members(studies: Mapping[str, Mapping[str, Table]]) -> list[dict[str, Any]]:
    """The rows of ``members``, each with the scores of its last checkpoint; NaN for a member without any.

    All studies of a run share its members; the scores are those of the study that has checkpoints.
    """
    rows = next((tables["members"].rows() for tables in studies.values() if "members" in tables), [])
    scores: dict[int, dict[str, Any]] = {}
    checkpoints = next((tables["checkpoints"].rows() for tables in studies.values() if "checkpoints" in tables), [])
    for row in checkpoints:
        if row["member"] not in scores or row["checkpoint"] > scores[row["member"]]["checkpoint"]:
            scores[row["member"]] = row
    nothing = {"accuracy": float("nan"), "nll": float("nan")}
    return [{**nothing, **scores.get(row["member"], {}), **row} for row in rows]
