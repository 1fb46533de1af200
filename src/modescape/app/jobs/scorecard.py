"""Write the scorecard of runs: a page, Markdown, JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modescape.app.jobs.judged import card_of
from modescape.app.report.scorecard_page import scorecard_page
from modescape.app.report.words import duration
from modescape.app.runs.commit import write_file
from modescape.app.scorecard.agreement import Compared, compare, read_card
from modescape.app.scorecard.card import Card, Judged
from modescape.app.scorecard.markdown import markdown
from modescape.app.scorecard.words import record_of, rows_of, summary

FORMS = ("html", "md", "json")


@dataclass(frozen=True)
class Written:
    """A card, and the files that tell it."""

    card: Card
    files: tuple[Path, ...]


def as_json(card: Card) -> str:
    """The card as JSON."""
    return json.dumps(record_of(card), indent=1, ensure_ascii=False) + "\n"


def write_card(roots: Sequence[Path], folder: Path) -> Written:
    """Judge runs and write ``scorecard.html``, ``scorecard.md`` and ``scorecard.json`` into a folder."""
    card = card_of(roots)
    page = scorecard_page(sentence(card), [_told(run, card) for run in card.runs], rows_of(card))
    contents = {"html": page, "md": markdown(card).encode(), "json": as_json(card).encode()}
    files = tuple(folder / f"scorecard.{form}" for form in FORMS)
    for path, form in zip(files, FORMS, strict=True):
        write_file(path, contents[form])
    return Written(card, files)


def sentence(card: Card) -> str:
    """The card in a sentence."""
    told = [f"{run.name}: {summary(card, run.name)}" for run in card.runs]
    nowhere = sum(verdict.run == "" for verdict in card.verdicts)
    return "; ".join(told) + (f". {nowhere} claims could be tested on none of them." if nowhere else ".")


def _told(run: Judged, card: Card) -> Mapping[str, str]:
    facts = run.facts
    versions, machine = facts["versions"], facts["machine"]
    parts = [*(f"{name} {value}" for name, value in versions.items()), *machine.values()]
    return {
        "name": run.name,
        "title": run.title,
        "summary": summary(card, run.name),
        "departures": "; ".join(run.departures) or "in nothing",
        "made": f"{', '.join(parts)}; {duration(facts['wall_seconds'])}; {facts['command']}",
    }


def against(card: Card, path: Path) -> list[Compared]:
    """Every number of the card beside that of a card that was stored. Raises ``RunError`` if that cannot be read."""
    there: dict[str, Any] = read_card(path)
    return compare(record_of(card), there)


def agreement(card: Card, path: Path) -> str:
    """How far the card agrees with one that was stored, in words. Raises ``RunError``."""
    found = against(card, path)
    if not found:
        return f"{path} has no run of the same network, data and optimiser: nothing to compare"
    apart = [one for one in found if one.agree is False]
    turned = [one for one in found if not one.same_verdict]
    told = [f"compared with {path}: {len(found)} numbers, {len(found) - len(apart)} agree within intervals and ranges"]
    told += [_apart(one) for one in apart]
    told += [f"  claim {one.number} has another verdict: {one.says} ({one.network})" for one in turned]
    return "\n".join(told)


def _apart(one: Compared) -> str:
    return f"  claim {one.number} differs: {one.says} ({one.network}): {one.here:.4g} here, {one.there:.4g} there"
