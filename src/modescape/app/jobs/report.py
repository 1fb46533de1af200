"""The report of a run, from what is on its disk alone; needs no torch."""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

from modescape.app.jobs.judged import judged, versions_of
from modescape.app.report.page import write_report
from modescape.app.report.record import RunRecord, Timing
from modescape.app.runs.journal import Journal
from modescape.app.runs.layout import Layout
from modescape.app.runs.run import read_identity
from modescape.app.runs.tables_file import read_tables, tables_settings
from modescape.app.scorecard.card import judge
from modescape.app.scorecard.words import rows_of
from modescape.errors import RunError
from modescape.tables import STUDIES, Table


def render(root: Path) -> Path:
    """Write the report of a run that has tables; returns the page. Raises ``RunError`` if there is none to write."""
    identity, layout = read_identity(root), Layout(root)
    tables = {study: found for study in STUDIES if (found := read_tables(layout, study)) is not None}
    if not tables:
        raise RunError(f"{root} has no tables yet; finish it with the command that began it")
    return write_report(record_of(root, identity, tables), root)


def record_of(root: Path, identity: dict[str, Any], tables: dict[str, dict[str, Table]]) -> RunRecord:
    """All that a report of a run is made from."""
    source, belongs = identity["source"], identity["belongs"]
    layout, recipe = Layout(root), belongs["recipe"]
    settings = {name: value for name, value in recipe.items() if name != "seed"}
    if belongs.get("weights_sha256"):
        settings["training"] = {"weights of": f"{len(belongs['weights_sha256'])} networks trained elsewhere"}
    if belongs.get("predictions_sha256"):
        settings["training"] = {"predictions of": f"{len(belongs['predictions_sha256'])} members trained elsewhere"}
    settings |= {study: tables_settings(layout, study) for study in tables}
    settings |= {"subspaces": drawn} if (drawn := identity["settings"].get("subspaces")) else {}
    journal = Journal(layout.journal)
    ended = journal.events("ended")
    machine = dict(identity["machine"])
    if ended:
        machine["peak memory"] = f"{ended[-1]['peak_memory_bytes'] / 2**20:,.0f} MiB"
    return RunRecord(
        title=source["title"],
        run_name=root.resolve().name,
        command=source["command"],
        description=source["description"],
        settings=settings,
        versions=versions_of(identity, root),
        machine=machine,
        seeds={
            "root seed": str(recipe["seed"]),
            "paths": "member/<m>/init, member/<m>/{order, augment, dropout}/epoch/<e>, "
            "member/<m>/subspace/<name>/<purpose>/<draw>, examples/<split>, statistics, bootstrap/<study>",
        },
        timings=_timings(journal),
        data={**source["data"], "SHA-256": belongs["data_sha256"]},
        failures=_failures(tables),
        tables=tables,
        claims=_claims(root, identity, tables),
    )


def _claims(root: Path, identity: dict[str, Any], tables: dict[str, dict[str, Table]]) -> list[dict[str, Any]]:
    """The paper's claims on a run of its data and networks; a run of anything else has none."""
    if {"weights_sha256", "predictions_sha256"} & identity["belongs"].keys():
        return []
    run = judged(root, tables)
    return rows_of(judge([run]), run.name)


def _failures(tables: dict[str, dict[str, Table]]) -> list[str]:
    reasons = [row["reason"] for found in tables.values() for row in found["members"].rows() if row["reason"]]
    return list(dict.fromkeys(reasons))


def _timings(journal: Journal) -> list[Timing]:
    seconds: dict[str, float] = defaultdict(float)
    amounts: dict[str, int] = defaultdict(int)
    units: dict[str, str] = {}
    for event in journal.events("done"):
        phase = event["task"].split("/")[0]
        seconds[phase] += event["seconds"]
        amounts[phase] += event["weight"]
        units[phase] = event["unit"]
    return [
        Timing(phase, spent, f"{amounts[phase]:,} {units[phase]}, {amounts[phase] / max(spent, 1e-9):,.1f} each second")
        for phase, spent in seconds.items()
    ]


def answers_record(root: Path, tables: dict[str, Any]) -> str:
    """What ``--json`` prints: where the run is, its answers, its members."""
    record = {
        "run": str(root),
        "report": str(Layout(root).report),
        "studies": {
            study: {"answers": found["answers"].rows(), "members": found["members"].rows()}
            for study, found in tables.items()
        },
    }
    # NaN is no JSON: what has no value is null.
    return json.dumps(_plain(record), indent=1)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))) else value
