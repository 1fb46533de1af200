"""The bridge between rings: names, types and units of the columns of every result table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

Kind = Literal["int", "float", "text", "flag"]

_DTYPES: dict[str, Any] = {"int": np.int64, "float": np.float64, "text": np.str_, "flag": np.bool_}


@dataclass(frozen=True)
class Column:
    """One column: its name, the kind of its values, what they mean and in which unit."""

    name: str
    kind: Kind
    meaning: str
    unit: str = ""


@dataclass(frozen=True)
class Schema:
    """The columns of one table."""

    name: str
    meaning: str
    columns: tuple[Column, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Column names in order."""
        return tuple(column.name for column in self.columns)


@dataclass(frozen=True)
class Table:
    """Columns of equal length that follow a schema.

    Values are converted to the column's kind (int64, float64, text, bool) on construction; a missing or unknown
    column, or columns of unequal length, raise ``ValueError``.
    """

    schema: Schema
    columns: Mapping[str, np.ndarray]

    def __post_init__(self) -> None:
        given, wanted = set(self.columns), set(self.schema.names)
        if given != wanted:
            raise ValueError(
                f"table {self.schema.name}: missing columns {sorted(wanted - given)}, "
                f"unknown columns {sorted(given - wanted)}"
            )
        typed = {c.name: np.asarray(self.columns[c.name], dtype=_DTYPES[c.kind]) for c in self.schema.columns}
        shapes = {name: values.shape for name, values in typed.items()}
        if len(set(shapes.values())) > 1 or any(len(shape) != 1 for shape in shapes.values()):
            raise ValueError(f"table {self.schema.name}: columns must be flat and of equal length, got {shapes}")
        object.__setattr__(self, "columns", typed)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def __getitem__(self, name: str) -> np.ndarray:
        return self.columns[name]

    def rows(self) -> list[dict[str, Any]]:
        """The rows as dictionaries of plain Python values."""
        lists = {name: values.tolist() for name, values in self.columns.items()}
        return [dict(zip(lists, values, strict=True)) for values in zip(*lists.values(), strict=True)]


def from_rows(schema: Schema, rows: Sequence[Mapping[str, Any]]) -> Table:
    """The table with one row for each mapping; every mapping names every column."""
    return Table(schema, {name: np.array([row[name] for row in rows]) for name in schema.names})


_MEMBER = Column("member", "int", "number of the network, which is also its origin")
_CHECKPOINT = Column("checkpoint", "int", "position in the trajectory; 0 is the initialisation")
_METHOD = Column("method", "text", "how predictions were embedded: tsne or pca")
_SEED = Column("seed", "int", "which of the seeded repetitions of the embedding")
_PERPLEXITY = Column("perplexity", "float", "perplexity of t-SNE; NaN for pca")

MEMBERS = Schema(
    "members",
    "what became of each member",
    (
        _MEMBER,
        Column("status", "text", "done or failed"),
        Column("step", "int", "training steps completed"),
        Column("reason", "text", "why the member failed; empty when it is done"),
    ),
)

CHECKPOINTS = Schema(
    "checkpoints",
    "every checkpoint of every trajectory, scored on the study's split",
    (
        _MEMBER,
        _CHECKPOINT,
        Column("step", "int", "optimiser steps taken so far"),
        Column("epoch", "float", "passes over the training data so far"),
        Column("training_loss", "float", "mean loss over the steps since the checkpoint before; NaN at 0", "nats"),
        Column("accuracy", "float", "fraction of examples whose predicted class is the target"),
        Column("nll", "float", "mean negative log-likelihood", "nats"),
        Column("norm", "float", "Euclidean norm of all weights and biases"),
    ),
)

PAIRS = Schema(
    "pairs",
    "every unordered pair of checkpoints, within and between trajectories",
    (
        Column("member_a", "int", "member of the first checkpoint"),
        Column("checkpoint_a", "int", "position of the first checkpoint"),
        Column("member_b", "int", "member of the second checkpoint"),
        Column("checkpoint_b", "int", "position of the second checkpoint"),
        Column("disagreement", "float", "fraction of examples on which the predicted classes differ"),
        Column("similarity", "float", "cosine of all weights and biases, from the origin of weight space"),
        Column("similarity_without_norm", "float", "the same without the parameters of normalisation layers"),
    ),
)

EMBEDDING = Schema(
    "embedding",
    "predictions of every checkpoint as points of a plane",
    (
        _METHOD,
        _SEED,
        _PERPLEXITY,
        _MEMBER,
        _CHECKPOINT,
        Column("x", "float", "first coordinate"),
        Column("y", "float", "second coordinate"),
    ),
)

EMBEDDING_QUALITY = Schema(
    "embedding_quality",
    "how far each embedding can be trusted",
    (
        _METHOD,
        _SEED,
        _PERPLEXITY,
        Column("divergence", "float", "Kullback-Leibler divergence that t-SNE ended with; NaN for pca", "nats"),
        Column("explained", "float", "fraction of the variance that pca keeps; NaN for t-SNE"),
        Column("purity", "float", "fraction of checkpoints whose nearest neighbour is of the same trajectory"),
        Column("purity_second_half", "float", "the same among the second halves of the trajectories"),
    ),
)

ANSWERS = Schema(
    "answers",
    "the study's answer in numbers and words",
    (
        Column("quantity", "text", "what was measured"),
        Column("value", "float", "its mean over pairs or members"),
        Column(
            "low", "float", "lower end of the 95% bootstrap interval over examples; NaN where examples play no part"
        ),
        Column("high", "float", "upper end of that interval"),
        Column("least", "float", "smallest value over the pairs or members"),
        Column("most", "float", "largest value over the pairs or members"),
        Column("count", "int", "number of pairs or members"),
        Column("sentence", "text", "the same in words"),
    ),
)

TRAJECTORIES = {schema.name: schema for schema in (ANSWERS, MEMBERS, CHECKPOINTS, PAIRS, EMBEDDING, EMBEDDING_QUALITY)}
"""The tables of the study ``trajectories``."""

STUDIES = {"trajectories": TRAJECTORIES}
"""The tables of every study, by the study's name."""
