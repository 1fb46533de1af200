"""A made-up run: tables as a study would leave them, from networks that are nothing but lists of classes."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from modescape.app.report.record import RunRecord, Timing
from modescape.tables import ANSWERS, CHECKPOINTS, EMBEDDING, EMBEDDING_QUALITY, MEMBERS, PAIRS, Table, from_rows

EXAMPLES, WEIGHTS, CLASSES = 400, 300, 10
NAN = float("nan")


def _classes_and_weights(members: int, checkpoints: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Targets [example], classes [member, checkpoint, example] and weights [member, checkpoint, weight].

    Each example leaves the member's first guess for its last one at a moment of its own, most of them early.
    """
    chance = np.random.default_rng(2019)
    targets = chance.integers(0, CLASSES, EXAMPLES)
    first = np.repeat(chance.integers(0, CLASSES, (members, 1)), EXAMPLES, axis=1)
    hard = np.where(chance.random(EXAMPLES) < 0.4, 0.5, 0.01)
    last = np.where(
        chance.random((members, EXAMPLES)) < hard, chance.integers(0, CLASSES, (members, EXAMPLES)), targets
    )
    moment = chance.exponential(0.09, (members, EXAMPLES)) + 0.02
    time = np.linspace(0, 1, checkpoints)[None, :, None]
    classes = np.where(time >= np.minimum(moment, 1)[:, None], last[:, None], first[:, None])
    waver = chance.random(classes.shape) < 0.05 * (time > 0)
    classes = np.where(waver, chance.integers(0, CLASSES, classes.shape), classes)
    start, move = chance.normal(size=(2, members, 1, WEIGHTS))
    return targets, classes, start + 1.6 * move * time**0.6


def _pair_rows(classes: np.ndarray, weights: np.ndarray) -> list[dict[str, Any]]:
    members, checkpoints = classes.shape[:2]
    flat, vectors = classes.reshape(members * checkpoints, -1), weights.reshape(members * checkpoints, -1)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosine = unit @ unit.T
    return [
        {
            "member_a": a // checkpoints,
            "checkpoint_a": a % checkpoints,
            "member_b": b // checkpoints,
            "checkpoint_b": b % checkpoints,
            "disagreement": float((flat[a] != flat[b]).mean()),
            "similarity": float(cosine[a, b]),
            "similarity_without_norm": float(cosine[a, b]),
        }
        for a in range(len(flat))
        for b in range(a + 1, len(flat))
    ]


def _plane(classes: np.ndarray, turn: float) -> np.ndarray:
    """The two widest directions of the predictions, turned a little: [member, checkpoint, 2]."""
    hot = np.eye(CLASSES)[classes].reshape(-1, EXAMPLES * CLASSES)
    left, size, _ = np.linalg.svd(hot - hot.mean(0), full_matrices=False)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    return (left[:, :2] * size[:2] @ rotation).reshape(*classes.shape[:2], 2)


def _embeddings(classes: np.ndarray) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    rows, quality = [], []
    kinds = [("tsne", seed, perplexity) for perplexity in (10.0, 30.0) for seed in (0, 1)] + [("pca", 0, NAN)]
    for method, seed, perplexity in kinds:
        points = _plane(classes, 0.7 * seed)
        kind = {"method": method, "seed": seed, "perplexity": perplexity}
        rows += [
            {**kind, "member": m, "checkpoint": c, "x": float(points[m, c, 0]), "y": float(points[m, c, 1])}
            for m in range(classes.shape[0])
            for c in range(classes.shape[1])
        ]
        pca = method == "pca"
        quality.append(
            {
                **kind,
                "divergence": NAN if pca else 0.31,
                "explained": 0.42 if pca else NAN,
                "purity": 0.93,
                "purity_second_half": 1.0 - 0.02 * seed,
            }
        )
    return rows, quality


def _answer(quantity: str, values: np.ndarray, sentence: str, interval: float = NAN) -> dict[str, Any]:
    mean = float(values.mean())
    return {
        "quantity": quantity,
        "value": mean,
        "low": mean - interval,
        "high": mean + interval,
        "least": float(values.min()),
        "most": float(values.max()),
        "count": len(values),
        "sentence": sentence,
    }


def _answers(targets: np.ndarray, classes: np.ndarray, pairs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    last = classes.shape[1] - 1
    ends = [p for p in pairs if p["checkpoint_a"] == p["checkpoint_b"] == last]
    wrong = (classes[:, -1] != targets).mean(1)
    error = _answer("error rate", wrong, f"A network is wrong on {wrong.mean():.1%} of the examples.", 0.018)
    if not ends:
        return [error]
    apart = np.array([p["disagreement"] for p in ends])
    alike = np.array([p["similarity"] for p in ends])
    return [
        _answer(
            "disagreement between solutions",
            apart,
            f"Two separately trained networks give different answers for {apart.mean():.1%} of the examples.",
            0.021,
        ),
        _answer(
            "similarity between solutions", alike, f"Their weights are nearly at right angles: {alike.mean():.3f}."
        ),
        error,
    ]


def make_tables(members: int = 5, checkpoints: int = 21, failed: tuple[int, ...] = ()) -> dict[str, Table]:
    """The tables of the study ``trajectories``; failed members keep their first five checkpoints."""
    targets, classes, weights = _classes_and_weights(members, checkpoints)
    kept = {m: 5 if m in failed else checkpoints for m in range(members)}
    pairs = [
        p
        for p in _pair_rows(classes, weights)
        if p["checkpoint_a"] < kept[p["member_a"]] and p["checkpoint_b"] < kept[p["member_b"]]
    ]
    points, quality = _embeddings(classes)
    scored = [
        {
            "member": m,
            "checkpoint": c,
            "step": 100 * c,
            "epoch": float(c),
            "training_loss": NAN if c == 0 else 0.8 + 0.03 * m + 1.2 * float(np.exp(-c / 4)),
            "accuracy": float((classes[m, c] == targets).mean()),
            "nll": 1.05 + 0.02 * m + 0.04 * (c * 7 % 5) / 5 + 1.25 * float(np.exp(-c / 3)),
            "norm": float(np.linalg.norm(weights[m, c])),
        }
        for m in range(members)
        for c in range(kept[m])
    ]
    status = [
        {
            "member": m,
            "status": "failed" if m in failed else "done",
            "step": 100 * (kept[m] - 1),
            "reason": "the loss is not a number at step 431" if m in failed else "",
        }
        for m in range(members)
    ]
    rows: Mapping[Any, list[dict[str, Any]]] = {
        ANSWERS: _answers(targets, classes, pairs),
        MEMBERS: status,
        CHECKPOINTS: scored,
        PAIRS: pairs,
        EMBEDDING: [point for point in points if point["checkpoint"] < kept[point["member"]]],
        EMBEDDING_QUALITY: quality,
    }
    return {schema.name: from_rows(schema, found) for schema, found in rows.items()}


@pytest.fixture(scope="session")
def tables() -> dict[str, Table]:
    return make_tables()


@pytest.fixture(scope="session")
def tables_of() -> Callable[..., dict[str, Table]]:
    return make_tables


@pytest.fixture
def record_of() -> Callable[..., RunRecord]:
    def make(tables: Mapping[str, Table], /, **changes: Any) -> RunRecord:
        values: dict[str, Any] = {
            "title": "Trajectories of a small convolutional network",
            "run_name": "digits-20240131",
            "description": "Five networks on small grey digits, from five initialisations and data orders.",
            "command": "modescape run digits --root-seed 7",
            "settings": {
                "study": "trajectories",
                "training": {"epochs": 20, "batch": 128, "schedule": {"initial": 0.0016, "halve_every": 10}},
                "network": {"name": "small_cnn", "channels": [16, 32, 32], "dropout": 0.1, "normalisation": None},
                "embedding": {"perplexities": [10.0, 30.0], "seeds": 2},
            },
            "versions": {"modescape": "0.1.0", "torch": "2.10.0", "python": "3.12.3"},
            "machine": {"processor": "2 cores", "memory": "8 GiB", "accelerator": ""},
            "seeds": {"root": "7", "initialisation": "member/*/init"},
            "timings": [Timing("training", 312.4, "5,312 images/s"), Timing("measuring", 41.2, "")],
            "data": {"name": "digits", "training": "1,437 examples", "study": "360 examples"},
            "tables": {"trajectories": tables},
        }
        return RunRecord(**{**values, **changes})

    return make
