"""Does a run stay in one function, and do different runs end in different ones? (the paper's figures 2 and 3)"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from modescape.core.diversity.disagreement import disagreement_matrix
from modescape.core.diversity.embedding import isometric, nearest_neighbour_purity, pca, tsne
from modescape.core.engine.events import Event
from modescape.core.models.checks import norm_parameters
from modescape.core.predictions import Predictions, ensemble_probabilities
from modescape.core.scores.accuracy import accuracy
from modescape.core.scores.proper import nll
from modescape.core.settings import require, settings
from modescape.core.weights import cosine, inner_products, stack
from modescape.errors import MemberFailed
from modescape.studies.abstract import Context, Job, Result, Results, Sizes, Study, Task, Unfit, require_members
from modescape.studies.members import (
    check_perplexities,
    comparable,
    each_alone,
    first_failure,
    logits_of,
    losses,
    members_table,
    own_parts,
    prediction_tasks,
    scratch,
    segments,
    training_tasks,
    trajectory,
)
from modescape.studies.setup import Setup
from modescape.studies.trajectories_answers import Compared, answers
from modescape.tables import CHECKPOINTS, EMBEDDING, EMBEDDING_QUALITY, PAIRS, Table, from_rows


def compare_checkpoints(context: Context, jobs: Sequence[Job]) -> Iterator[Event[Result]]:
    """Similarity, disagreement and scores of all checkpoints of all trajectories."""
    return each_alone(context, jobs, _compare)


def _compare(context: Context, job: Job) -> Result:
    split = job.arguments["split"]
    members = comparable(job, split)
    targets = context.splits[split].targets.cpu()
    parts = {m: own_parts(job, m) for m in members}
    trajectories = [trajectory(parts[m], m) for m in members]
    weights = stack([t.weights for t in trajectories])
    gram = inner_products(weights)
    norms = norm_parameters(scratch(context))
    similarity = cosine(gram)
    plain = cosine(inner_products(weights, without=norms)) if norms else similarity.clone()
    classes, scores, solutions = [], [], []
    for member in members:
        logits = logits_of(job, member, split)
        classes.append(logits.argmax(dim=-1))
        scores.append(torch.stack([accuracy(classes[-1], targets), nll(logits, targets)]))
        solutions.append(logits[-1])
    ensemble = ensemble_probabilities(Predictions(torch.stack(solutions), targets, tuple(members), split))
    stacked = torch.cat(classes)
    small = torch.uint8 if context.classes <= 256 else torch.int32
    tensors = {
        "similarity": similarity,
        "similarity_without_norm": plain,
        "disagreement": disagreement_matrix(stacked, context.classes),
        "norm": gram.diagonal().sqrt(),
        "accuracy": torch.cat(scores, dim=1)[0],
        "nll": torch.cat(scores, dim=1)[1],
        "classes": stacked.to(small),
        "ensemble_classes": ensemble.argmax(dim=-1).to(small),
        "targets": targets.to(small),
        "member": torch.tensor([m for m, t in zip(members, trajectories, strict=True) for _ in t.steps]),
        "checkpoint": torch.tensor([c for t in trajectories for c in range(len(t))]),
        "step": torch.tensor([step for t in trajectories for step in t.steps]),
        "loss": torch.tensor([loss for m in members for loss in losses(parts[m])], dtype=torch.float64),
    }
    steps_per_epoch = Sizes({"train": len(context.splits["train"])}, context.setup.training.batch).steps_per_epoch
    facts = {"has_norm": bool(norms), "classes": context.classes, "steps_per_epoch": steps_per_epoch, "split": split}
    return Result({"compared": {name: t.contiguous() for name, t in tensors.items()}}, facts)


def reduce_predictions(context: Context, jobs: Sequence[Job]) -> Iterator[Event[Result]]:
    """All checkpoints' predicted probabilities in as many dimensions as there are checkpoints, distances kept."""
    return each_alone(context, jobs, _reduce)


def _reduce(context: Context, job: Job) -> Result:
    split = job.arguments["split"]
    members = comparable(job, split)
    rows = [logits_of(job, m, split).softmax(dim=-1).flatten(1) for m in members]
    origins = torch.tensor([m for m, row in zip(members, rows, strict=True) for _ in row])
    return Result({"reduced": {"points": isometric(torch.cat(rows)), "member": origins}}, {"members": members})


def embed_predictions(context: Context, jobs: Sequence[Job]) -> Iterator[Event[Result]]:
    """Points of a plane for the reduced predictions, by one method with one seed."""
    return each_alone(context, jobs, _embed)


def _embed(context: Context, job: Job) -> Result:
    reduced = job.inputs["reduced"]().files["reduced"]
    points, member = reduced["points"], reduced["member"]
    perplexity = job.arguments["perplexity"]
    if perplexity is not None and perplexity >= len(points):
        raise MemberFailed(
            f"after a member failed there are {len(points)} checkpoints, too few for perplexity {perplexity:g}", step=0
        )
    embedding = pca(points) if perplexity is None else tsne(points, perplexity, job.arguments["seed"])
    late = torch.cat([(w := (member == m).nonzero()[:, 0])[len(w) // 2 :] for m in member.unique()])
    facts = {
        "divergence": None if perplexity is None else embedding.divergence,
        "explained": embedding.explained if perplexity is None else None,
        "purity": nearest_neighbour_purity(embedding.points, member),
        "purity_second_half": nearest_neighbour_purity(embedding.points[late], member[late]),
    }
    return Result({"embedding": {"points": embedding.points.contiguous(), "member": member}}, facts)


@dataclass(frozen=True)
class _Picture:
    """One embedding to make: PCA when there is no perplexity."""

    perplexity: float | None
    seed: int

    @property
    def task(self) -> str:
        return "embed/pca" if self.perplexity is None else f"embed/tsne/perplexity/{self.perplexity:g}/seed/{self.seed}"

    @property
    def columns(self) -> dict[str, Any]:
        perplexity = np.nan if self.perplexity is None else self.perplexity
        return {"method": "pca" if self.perplexity is None else "tsne", "seed": self.seed, "perplexity": perplexity}


@final
@settings
class Trajectories(Study):
    """Settings: the split that is predicted, the embeddings (perplexities times seeds, and PCA), bootstrap draws."""

    split: str = "test"
    perplexities: tuple[float, ...] = (30.0,)
    seeds: int = 3
    draws: int = 1000

    def __post_init__(self) -> None:
        require(self.seeds >= 1, f"seeds must be at least 1, got {self.seeds}")
        require(self.draws >= 100, f"draws must be at least 100 for an interval, got {self.draws}")
        check_perplexities(self.perplexities)

    def _pictures(self) -> list[_Picture]:
        drawn = [_Picture(p, seed) for p in self.perplexities for seed in range(self.seeds)]
        return [*drawn, _Picture(None, 0)]

    def tasks(self, setup: Setup, sizes: Sizes) -> Sequence[Task]:
        """Train, predict, compare, embed."""
        if not setup.trains:
            raise Unfit("there are no trajectories: network.weights gives solutions alone")
        require_members(setup)
        require(self.split in sizes.examples, f"there is no split {self.split!r}; choose {', '.join(sizes.examples)}")
        training = training_tasks(setup, sizes)
        predicting = prediction_tasks(setup, sizes, self.split)
        points = sum(task.weight for task in predicting)
        require(
            all(p < points for p in self.perplexities),
            f"perplexity must be below the number of checkpoints, {points}; got {list(self.perplexities)}",
        )
        arguments: dict[str, Any] = {"members": list(range(setup.training.members)), "split": self.split}
        predictions = {task.name: task.name for task in predicting}
        everything = {name: name for m in range(setup.training.members) for name in segments(setup, m)} | predictions
        compare = Task("compare", compare_checkpoints, arguments, everything, tolerant=True)
        reduce = Task("embed/reduce", reduce_predictions, arguments, predictions, tolerant=True)
        embed = [
            Task(p.task, embed_predictions, {"perplexity": p.perplexity, "seed": p.seed}, {"reduced": reduce.name})
            for p in self._pictures()
        ]
        return [*training, *predicting, compare, reduce, *embed]

    def tables(self, setup: Setup, results: Results) -> Mapping[str, Table]:
        """Members, checkpoints, pairs, embeddings with their quality, and the answers."""
        compared = results.read("compare")
        if compared is None:
            raise first_failure(setup, results, "compare")
        tensors, facts = compared.files["compared"], compared.facts
        quality, points = self._embeddings(results, tensors)
        view = Compared(tensors, facts["has_norm"], facts["classes"], facts["split"], facts["steps_per_epoch"])
        # The paper's picture is t-SNE; two principal axes keep too little of the predictions to stand beside it.
        drawn = [row for row in quality.rows() if row["method"] == "tsne"] or quality.rows()
        return {
            "answers": answers(view, [row["purity_second_half"] for row in drawn], setup.seed, self.draws),
            "members": members_table(setup, results, facts["steps_per_epoch"] * setup.training.epochs),
            "checkpoints": _checkpoints_table(tensors, facts["steps_per_epoch"]),
            "pairs": _pairs_table(tensors),
            "embedding": points,
            "embedding_quality": quality,
        }

    def _embeddings(self, results: Results, tensors: Mapping[str, Tensor]) -> tuple[Table, Table]:
        quality, points = [], []
        for picture in self._pictures():
            result = results.read(picture.task)
            if result is None:
                continue
            fit = {n: np.nan if result.facts[n] is None else result.facts[n] for n in result.facts}
            quality.append(picture.columns | {name: fit[name] for name in EMBEDDING_QUALITY.names[3:]})
            rows = zip(
                tensors["member"].tolist(),
                tensors["checkpoint"].tolist(),
                result.files["embedding"]["points"].tolist(),
                strict=True,
            )
            points += [picture.columns | {"member": m, "checkpoint": c, "x": x, "y": y} for m, c, (x, y) in rows]
        return from_rows(EMBEDDING_QUALITY, quality), from_rows(EMBEDDING, points)


def _checkpoints_table(tensors: Mapping[str, Tensor], steps_per_epoch: int) -> Table:
    columns = {name: tensors[name].numpy() for name in ("member", "checkpoint", "step", "accuracy", "nll", "norm")}
    epoch = tensors["step"].double().numpy() / steps_per_epoch
    return Table(CHECKPOINTS, columns | {"epoch": epoch, "training_loss": tensors["loss"].numpy()})


def _pairs_table(tensors: Mapping[str, Tensor]) -> Table:
    first, second = np.array(list(combinations(range(len(tensors["member"])), 2))).T
    member, checkpoint = tensors["member"].numpy(), tensors["checkpoint"].numpy()
    matrices = ("disagreement", "similarity", "similarity_without_norm")
    return Table(
        PAIRS,
        {
            "member_a": member[first],
            "checkpoint_a": checkpoint[first],
            "member_b": member[second],
            "checkpoint_b": checkpoint[second],
        }
        | {name: tensors[name].numpy()[first, second] for name in matrices},
    )
