"""The tables of the study ``disagreement`` from its numbers."""

from collections.abc import Iterator, Mapping
from itertools import combinations, permutations
from typing import Any

import torch
from torch import Tensor

from modescape.function_tables import FUNCTION_MAP, FUNCTION_PAIRS, NETWORKS
from modescape.studies.abstract import Result, Results
from modescape.studies.disagreement_measures import ENSEMBLE
from modescape.studies.disagreement_words import answers
from modescape.studies.diversity_accuracy_tables import limit_rows
from modescape.studies.members import members_table
from modescape.studies.score_board import estimate
from modescape.studies.setup import Setup
from modescape.tables import ANSWERS, CURVES, PLANE, Table, from_rows

_PAIR = ("disagreement", "low", "high", "normalised_a", "normalised_b", "both_wrong")
_DIVERGENCES = ("kl_ab", "kl_ba", "jensen_shannon", "total_variation")


def tables_of(setup: Setup, results: Results, compared: Result) -> Mapping[str, Table]:
    """Every table of the study."""
    facts = compared.facts
    networks, pairs = list(_networks(compared)), list(_pairs(compared))
    accuracy = {
        int(r["network"]): r["value"] for r in networks if r["score"] == "accuracy" and r["network"] != ENSEMBLE
    }
    several = accuracy if len(accuracy) > 1 else {}
    return {
        "answers": from_rows(ANSWERS, answers(networks, pairs, compared.files["answers"]["numbers"], facts)),
        "members": members_table(setup, results, facts["steps"]),
        "networks": from_rows(NETWORKS, networks),
        "pairs": from_rows(FUNCTION_PAIRS, pairs),
        "plane": from_rows(PLANE, list(_plane(networks, pairs, several))),
        "curves": from_rows(
            CURVES, [row for base, value in several.items() for row in limit_rows(base, value, facts["classes"])]
        ),
        "map": from_rows(FUNCTION_MAP, list(_map(compared))),
    }


def _networks(compared: Result) -> Iterator[dict[str, Any]]:
    draws, members = compared.files["scores"]["draws"], compared.facts["members"]
    names = [str(member) for member in members] + ([ENSEMBLE] if len(members) > 1 else [])
    for network, scores in zip(names, draws, strict=True):
        for score, values in zip(compared.facts["scores"], scores, strict=True):
            if not values.isnan().all():
                yield {"network": network, "score": score, **vars(estimate(values))}


def _pairs(compared: Result) -> Iterator[dict[str, Any]]:
    own = compared.files["pairs"]
    named = zip(combinations(compared.facts["members"], 2), own["numbers"], own["divergences"], strict=True)
    for (a, b), numbers, divergences in named:
        columns = dict(zip(_PAIR, numbers.tolist(), strict=True))
        columns |= dict(zip(_DIVERGENCES, divergences.tolist(), strict=True))
        yield {"member_a": a, "member_b": b, **columns}


def _plane(
    networks: list[dict[str, Any]], pairs: list[dict[str, Any]], accuracy: Mapping[int, float]
) -> Iterator[dict[str, Any]]:
    """Every network as base, and every other relative to it."""
    losses = {r["network"]: r["value"] for r in networks if r["score"] == "nll"}
    nothing = dict.fromkeys(PLANE.names, 0.0)

    def own(kind: str, base: int, member: int) -> dict[str, Any]:
        said = {"kind": kind, "origin": base, "number": member, "scale": torch.nan}
        return {**nothing, **said, "accuracy": accuracy[member], "nll": losses.get(str(member), torch.nan)}

    for member in accuracy:
        yield own("base", member, member)
    by_pair = {(pair["member_a"], pair["member_b"]): pair for pair in pairs}
    for base, member in permutations(accuracy, 2):
        ordered = base < member
        pair = by_pair[(base, member) if ordered else (member, base)]
        yield {
            **own("independent", base, member),
            "disagreement": pair["disagreement"],
            "normalised_disagreement": pair["normalised_b" if ordered else "normalised_a"],
            "kl_from_base": pair["kl_ab" if ordered else "kl_ba"],
            "kl_to_base": pair["kl_ba" if ordered else "kl_ab"],
            "jensen_shannon": pair["jensen_shannon"],
            "total_variation": pair["total_variation"],
        }


def _map(compared: Result) -> Iterator[dict[str, Any]]:
    found: Mapping[str, Tensor] = compared.files.get("map", {})
    for method in ("pca", "mds") if found else ():
        explained, stress = found["fit"].tolist()
        fit = {"explained": explained if method == "pca" else torch.nan}
        fit |= {"stress": stress if method == "mds" else torch.nan}
        for member, (x, y) in zip(compared.facts["members"], found[method].tolist(), strict=True):
            yield {"method": method, "member": member, "x": x, "y": y, **fit}
