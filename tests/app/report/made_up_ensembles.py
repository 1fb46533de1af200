"""Made-up tables of the studies ``ensembling`` and ``shift``: laws of sizes instead of networks."""

from collections.abc import Mapping, Sequence
from typing import Any

from modescape.tables import ENSEMBLING, SHIFT, Schema, Table, from_rows

NAN, INF = float("nan"), float("inf")
Rows = list[dict[str, Any]]
TWELVE = (
    "independent", "late_checkpoints", "snapshot", "random_direction", "weight_dropout", "activation_dropout",
    "diagonal_gaussian", "low_rank_gaussian", "random_pca", "weight_average", "swag", "laplace",
)  # fmt: skip
FAMILIES = (
    "gaussian_noise", "shot_noise", "impulse_noise", "defocus_blur", "motion_blur", "zoom_blur", "brightness",
    "contrast", "elastic_transform", "pixelate", "jpeg_compression",
)  # fmt: skip
SPAN = 0.006
"""Half of every interval."""


def table(schema: Schema, rows: Sequence[Mapping[str, Any]]) -> Table:
    """A table whose other columns are zero."""
    return from_rows(schema, [{**dict.fromkeys(schema.names, 0), **row} for row in rows])


def counts_of(method: str) -> tuple[int, ...]:
    return (1,) if method in ("independent", "bootstrap", "weight_average") else (1, 5, 10)


def ensembles(methods: Sequence[str], networks: int) -> list[tuple[str, int, int]]:
    return [(m, size, count) for m in methods for count in counts_of(m) for size in range(1, networks + 1)]


def level(method: str, solutions: int, samples: int, methods: Sequence[str]) -> float:
    """The calibrated NLL: methods that come later gain more from their members, and all gain from networks."""
    own = 0.1 * methods.index(method) / len(methods)
    return 0.80 + 0.25 / solutions - own * (1 - 1 / samples) * (0.2 + 0.8 / solutions)


def scored(value: float, spread: float = 0.01) -> dict[str, float]:
    return {
        "value": value,
        "low": value - SPAN,
        "high": value + SPAN,
        "least": value - spread,
        "most": value + spread,
    }


def scores_of(nll: float, members: int) -> dict[str, float]:
    """All scores of an ensemble from its calibrated NLL."""
    return {
        "accuracy": 1.02 - 0.33 * nll,
        "nll": 1.04 * nll,
        "calibrated_nll": nll,
        "brier": 0.45 * nll,
        "calibration_error": 0.02 * nll,
        "jensen_shannon": 0.25 * (1 - 1 / members) * nll,
        "risk_coverage_area": 0.12 * nll,
    }


def ensembling(methods: Sequence[str] = TWELVE, networks: int = 10, fitted: int = 4) -> dict[str, Table]:
    """All tables of ``ensembling``; there is a forecast where there are more networks than it is fitted to."""
    every = ensembles(methods, networks)
    key = {one: dict(zip(("method", "solutions", "samples"), one, strict=True)) for one in every}
    nll = {one: level(*one, methods) for one in every}
    scores = [
        {"split": "test", **key[one], "score": name, **scored(value, 0.02 / one[1]), "subsets": 3}
        for one in every
        for name, value in scores_of(nll[one], one[1] * one[2]).items()
    ]
    worth = {one: 0.25 / (nll[one] - 0.80) if nll[one] > 0.80 else INF for one in every}
    worth = {one: INF if value > networks else max(1.0, value) for one, value in worth.items()}
    equivalents = [
        {**key[one], "calibrated_nll": nll[one], "equivalent": n, "low": max(1.0, 0.8 * n), "high": 1.4 * n}
        for one, n in worth.items()
    ]
    forecast = [
        {
            "score": name,
            "fitted": fitted,
            "solutions": size,
            **{name: value for name, value in scored(start + slope / size).items() if name in ("value", "low", "high")},
            "measured": start + slope / size if size <= networks else NAN,
        }
        for name, start, slope in (("calibrated_nll", 0.80, 0.25), ("nll", 0.83, 0.26), ("accuracy", 0.756, -0.08))
        for size in range(1, 21)
    ]
    costs = [
        {"method": m, "samples": count, "relative": 1.0 + 0.02 * (methods.index(m) % 5), "prediction": 0.4 * count}
        for m in methods
        for count in counts_of(m)
    ]
    rows: dict[str, Rows] = {
        "answers": verdict_rows(networks),
        "members": [{"member": m, "status": "done", "step": 100, "reason": ""} for m in range(networks)],
        "verdicts": [],
        "scores": scores,
        "equivalents": equivalents,
        "forecast": forecast if networks > fitted else [],
        "costs": costs,
    }
    return {name: table(schema, rows[name]) for name, schema in ENSEMBLING.items()}


def verdict_rows(networks: int) -> Rows:
    told = {
        f"verdict_training_{networks}": f"At the training cost of {networks} networks, SWAG of {networks} networks, 10 "
        "members each has the best calibrated likelihood (0.812 nats): 0.013 nats better than 10 independent networks "
        "(95% interval 0.004 to 0.021).",
        "verdict_training_1": "At the training cost of one network, SWAG of one network is the best.",
        f"verdict_inference_{networks}": f"At {networks} forward passes for a prediction, {networks} independent "
        "networks has the best calibrated likelihood (0.825 nats), but not decidedly: 0.002 nats better than laplace "
        "of 5 networks, 2 members each (95% interval -0.001 to 0.005), which includes zero.",
        "equivalent_of_one": "Around one network, SWAG of one network comes furthest.",
    }
    return [
        {"quantity": name, "sentence": sentence, "count": 1} | scored(-0.013, 0.0) for name, sentence in told.items()
    ]


def shift(
    methods: Sequence[str] = TWELVE,
    sizes: Sequence[int] = (1, 2, 5),
    severities: Sequence[int] = (1, 2, 3, 4, 5),
    families: Sequence[str] = FAMILIES,
    unknown: Sequence[str] = ("svhn", "textures"),
) -> dict[str, Table]:
    """All tables of ``shift``; families that come later suffer more."""
    every = [(m, size, count) for m in methods for count in counts_of(m) for size in sizes]
    key = {one: dict(zip(("method", "solutions", "samples"), one, strict=True)) for one in every}

    def under(one: tuple[str, int, int], pain: float) -> dict[str, float]:
        found = scores_of(level(*one, methods) * (1 + pain), one[1] * one[2])
        return {**found, "jensen_shannon": found["jensen_shannon"] * (0.2 + 0.8 * (one[0] == "independent"))}

    pains = {0: 0.0} | {severity: 0.06 * severity for severity in severities}
    by_severity = [
        {"severity": severity, **key[one], "score": name, **scored(value, 0.03)}
        for one in every
        for severity, pain in pains.items()
        for name, value in under(one, pain).items()
    ]
    splits = {"test": 0.0} | {
        f"shift/{family}/{severity}": 0.02 * severity * (1 + place)
        for place, family in enumerate(families)
        for severity in severities
    }
    scores = [
        {"split": split, **key[one], "score": name, **scored(value), "subsets": 3}
        for split, pain in splits.items()
        for one in every
        for name, value in under(one, pain).items()
    ]
    detection = [
        {"split": f"unknown/{name}", **key[one], "detector": detector, "score": score, **scored(value), "subsets": 3}
        for place, name in enumerate(unknown)
        for one in every
        for rank, detector in enumerate(("entropy", "maximum_probability", "epistemic", "energy"))
        for score, value in (("auroc", 1.8 - level(*one, methods) + 0.01 * rank - 0.1 * place), ("fpr95", 0.5))
    ]
    sentence = "At severity 5, from 5 trained networks, SWAG of 5 networks has the best calibrated likelihood."
    rows: dict[str, Rows] = {
        "answers": [{"quantity": "verdict_severity_5_networks_5", "sentence": sentence, "count": 1} | scored(0.01)],
        "members": [],
        "shifts": [{"split": split, "examples": 1000, "source": "made up"} for split in splits],
        "severities": by_severity if severities else [],
        "scores": scores,
        "detection": detection,
    }
    return {name: table(schema, rows[name]) for name, schema in SHIFT.items()}
