"""The table of the study ``shift``: accuracy and likelihood by severity, and how well unknown inputs are noticed."""

from collections.abc import Mapping

from modescape.app.report.ensembles import Ensemble, Score, Scores, scores_in, worth_a_line
from modescape.app.report.score_table import (
    EMPTY,
    Cell,
    Column,
    Group,
    ScoreTable,
    cell_of,
    decimals,
    line_of,
    percent,
    score_table,
)
from modescape.tables import Table

DETECTORS = {
    "entropy": "entropy",
    "maximum_probability": "largest probability",
    "epistemic": "epistemic part",
    "energy": "energy",
}
_NOTE = (
    "Every method with all its members, from one network and from most. By severity scores are means over families of "
    "corruptions; severity 0 is the test split. An AUROC is that of the ensemble's best detector, which is named: 0.5 "
    "is chance, 1 perfect. Small numbers are 95% intervals over examples. Bold and underlined is the best of a column, "
    "which need not be better decidedly."
)


def shift_table(tables: Mapping[str, Table]) -> ScoreTable | None:
    """The table; None if there is nothing to show."""
    severities = dict.fromkeys(sorted(tables["severities"]["severity"].tolist()))
    groups, columns = [], []
    for title, score, better, show in (
        ("Accuracy at severity", "accuracy", 1, percent),
        ("NLL at severity (nats)", "nll", -1, decimals(3)),
    ):
        found = [scores_in(tables["severities"], severity=s, score=score) for s in severities]
        if any(found):
            groups.append(Group(title, tuple(Column(str(severity), "", better) for severity in severities)))
            columns += [{one: cell_of(known, show) for one, known in each.items()} for each in found]
    unknown = unknown_splits(tables["detection"])
    if unknown:
        heads = tuple(Column(split.removeprefix("unknown/"), "", 1) for split in unknown)
        groups.append(Group("Unknown inputs, AUROC", heads))
        columns += [_detected(tables["detection"], split) for split in unknown]
    lines = worth_a_line(dict.fromkeys(one for cells in columns for one in cells))
    if not lines:
        return None
    rows = [line_of(one, [cells.get(one, EMPTY) for cells in columns]) for one in lines]
    return score_table("The ensembles under shift", _NOTE, groups, rows)


def unknown_splits(detection: Table) -> list[str]:
    """The unknown datasets, in order."""
    return list(dict.fromkeys(detection["split"][detection["score"] == "auroc"].tolist()))


def areas(detection: Table, split: str) -> dict[str, Scores]:
    """Detector -> the AUROC of every ensemble."""
    names = dict.fromkeys(detection["detector"].tolist())
    found = {name: scores_in(detection, split=split, detector=name, score="auroc") for name in names}
    return {name: scores for name, scores in found.items() if scores}


def best_detectors(detection: Table, split: str) -> dict[Ensemble, tuple[str, Score]]:
    """The best detector of every ensemble, and its AUROC."""
    best: dict[Ensemble, tuple[str, Score]] = {}
    for detector, scores in areas(detection, split).items():
        for one, score in scores.items():
            if one not in best or score.value > best[one][1].value:
                best[one] = (detector, score)
    return best


def _detected(detection: Table, split: str) -> dict[Ensemble, Cell]:
    return {
        one: cell_of(score, decimals(3), DETECTORS.get(detector, detector))
        for one, (detector, score) in best_detectors(detection, split).items()
    }
