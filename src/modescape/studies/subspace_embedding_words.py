"""The answers of the study ``subspace_embedding``: purity of its embeddings, in numbers and words."""

import math
from collections.abc import Sequence
from statistics import fmean

from modescape.studies.words import Row, percent, spanned
from modescape.tables import ANSWERS, Table, from_rows, title_of

METHODS = {"tsne": "t-SNE", "mds": "MDS", "pca": "PCA"}


def answers(quality: Sequence[Row], drawn: Sequence[Row], split: str) -> Table:
    """Purity before any embedding, by method, and by subspace; the range is over subspaces, or over embeddings."""
    before = _row("purity_predictions", [row["purity_predictions"] for row in drawn])
    rows = [{**before, "sentence": _lead(before, len({row["subspace"] for row in drawn}), split)}]
    for method, name in METHODS.items():
        found = [row["purity_drawn"] for row in quality if row["method"] == method]
        if found:
            row = _row(f"purity_{method}", found)
            rows.append({**row, "sentence": _by_method(row, name)})
    for subspace in dict.fromkeys(row["subspace"] for row in quality):
        found = [row["purity_drawn"] for row in quality if row["subspace"] == subspace and row["method"] == "tsne"]
        if found:
            row = _row(f"purity_tsne_{subspace}", found)
            rows.append({**row, "sentence": _by_subspace(row, subspace)})
    return from_rows(ANSWERS, rows)


def _row(quantity: str, values: Sequence[float]) -> Row:
    nothing = {"low": math.nan, "high": math.nan}
    ends = {"least": min(values), "most": max(values), "count": len(values)}
    return {"quantity": quantity, "value": fmean(values), **nothing, **ends}


def _lead(row: Row, subspaces: int, split: str) -> str:
    where = f"over {row['count']} clouds of {subspaces} subspace{'s' if subspaces > 1 else ''} {spanned(row, percent)}"
    told = (
        f"{percent(row['value'])} of the drawn members predict the {split} examples more like a checkpoint or sample "
        f"of their own trajectory than like any of another's ({where})"
    )
    if row["least"] == 1:
        return f"Every sample stays with its own trajectory: {told}."
    if row["value"] >= 0.95:
        return f"Nearly every sample stays with its own trajectory: {told}."
    return f"Samples stay with their own trajectory only in part: {told}."


def _by_method(row: Row, name: str) -> str:
    count = f"{row['count']} embedding{'s' if row['count'] > 1 else ''}"
    return (
        f"On the map by {name} the nearest neighbour of {percent(row['value'])} of the drawn members is of their own "
        f"trajectory; over {count} {spanned(row, percent)}."
    )


def _by_subspace(row: Row, subspace: str) -> str:
    return (
        f"For {title_of(subspace)} that is {percent(row['value'])} of the drawn members with t-SNE; "
        f"over {row['count']} embedding{'s' if row['count'] > 1 else ''} {spanned(row, percent)}."
    )
