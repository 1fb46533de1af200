"""Runs on disk as the scorecard judges them."""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from modescape.app.runs.history import commits, wall_seconds
from modescape.app.runs.layout import Layout
from modescape.app.runs.run import read_identity
from modescape.app.runs.tables_file import read_tables
from modescape.app.scorecard.card import Card, Judged, judge
from modescape.errors import RunError
from modescape.tables import STUDIES, Table

DECISIVE = ("data", "network", "training")
DEPARTURES_TOLD = 6


def card_of(roots: Sequence[Path]) -> Card:
    """The scorecard of these runs. Raises ``RunError`` for one that has no tables, and for two of one name."""
    runs = [judged(root) for root in roots]
    names = [run.name for run in runs]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise RunError(f"two of these runs are called {twice}; rename the folder of one")
    return judge(runs)


def judged(root: Path, tables: Mapping[str, Mapping[str, Table]] | None = None) -> Judged:
    """A run with its tables. Raises ``RunError`` if it has none."""
    identity, layout = read_identity(root), Layout(root)
    if tables is None:
        tables = {study: found for study in STUDIES if (found := read_tables(layout, study)) is not None}
    if not tables:
        raise RunError(f"{root} has no tables yet; finish it with the command that began it")
    recipe = identity["belongs"]["recipe"]
    return Judged(
        name=root.resolve().name,
        title=str(identity["source"]["title"]),
        data=recipe["data"]["name"],
        network=recipe["network"]["name"] or recipe["network"]["factory"] or "",
        optimiser=recipe["training"]["optimiser"]["name"],
        tables=tables,
        departures=tuple(departures(recipe)),
        facts=_facts(identity, root),
    )


def _facts(identity: Mapping[str, Any], root: Path) -> dict[str, Any]:
    kept = {name: identity.get(name, {}) for name in ("versions", "machine")}
    kept["versions"] = versions_of(identity, root)
    return {**kept, "command": identity["source"]["command"], "wall_seconds": round(wall_seconds(root))}


def versions_of(identity: Mapping[str, Any], root: Path) -> dict[str, str]:
    """The versions that a run was begun with, and every commit of modescape that filled it."""
    versions = {str(name): str(value) for name, value in identity.get("versions", {}).items()}
    found = commits(root)
    return {**versions, "commit": "; ".join(found)} if found else versions


def departures(recipe: Mapping[str, Any]) -> list[str]:
    """How a run's data, network and training differ from those of the shipped recipe of the same network and data.

    Empty where they do not, and where there is no such recipe.
    """
    found = next((shipped for shipped in _full_recipes() if _same(shipped, recipe)), None)
    if found is None:
        return []
    told = [line for part in DECISIVE for line in _differences(found[part], recipe[part])]
    more = [f"and {len(told) - DEPARTURES_TOLD} more"] if len(told) > DEPARTURES_TOLD else []
    return told[:DEPARTURES_TOLD] + more


def _full_recipes() -> Iterator[dict[str, Any]]:
    for item in sorted(resources.files("modescape.recipes").iterdir(), key=lambda item: item.name):
        if item.name.endswith(".toml"):
            record = tomllib.loads(item.read_text())
            if not record.get("reduces"):
                yield record


def _same(shipped: Mapping[str, Any], recipe: Mapping[str, Any]) -> bool:
    def key(one: Mapping[str, Any]) -> tuple[Any, ...]:
        optimiser = one["training"].get("optimiser", {}).get("name", "adam")
        return one["data"]["name"], one["network"].get("name"), optimiser

    return key(shipped) == key(recipe)


def _differences(shipped: Mapping[str, Any], run: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name, wanted in shipped.items():
        have = run.get(name)
        if isinstance(wanted, Mapping) and isinstance(have, Mapping):
            yield from _differences(wanted, have, f"{prefix}{name}.")
        elif have != wanted:
            yield f"{prefix}{name} {_plain(have)} instead of {_plain(wanted)}"


def _plain(value: Any) -> str:
    return ", ".join(_plain(item) for item in value) if isinstance(value, list) else str(value)
