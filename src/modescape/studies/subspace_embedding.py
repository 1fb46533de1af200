"""Do members drawn around a solution stay with its trajectory, as functions? (the paper's figure 4)"""

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, final

import numpy as np
import torch

from modescape.core.diversity.embedding import Embedding, isometric, mds, nearest_neighbour_purity, pca, tsne
from modescape.core.engine.events import Event
from modescape.core.settings import require, settings
from modescape.core.subspaces.keep import Keep
from modescape.errors import MemberFailed
from modescape.studies.abstract import Context, Job, Result, Results, Sizes, Study, Task, require_members
from modescape.studies.drawing import (
    Draws,
    Sampler,
    chosen_subspaces,
    drawing_task,
    in_turns,
    require_validation,
    some_examples,
)
from modescape.studies.members import (
    check_perplexities,
    checkpoint_count,
    each_alone,
    first_failure,
    logits_of,
    members_table,
    moved_prediction_tasks,
    part_of,
    prediction_name,
    training_tasks,
)
from modescape.studies.setup import Setup
from modescape.studies.subspace_embedding_words import answers
from modescape.tables import DRAWN, SUBSPACE_EMBEDDING, SUBSPACE_EMBEDDING_QUALITY, Table, from_rows

Method = Literal["tsne", "pca", "mds"]


def draw_predictions(context: Context, jobs: Sequence[Job]) -> Iterator[Event[Result]]:
    """Draw each job's subspace at its own scale; keep the probabilities on the chosen examples."""
    return in_turns(context, [_probabilities(context, job) for job in jobs])


def _probabilities(context: Context, job: Job) -> Generator[int, None, Result]:
    rows = some_examples(context, job.arguments["split"], job.arguments["examples"])
    split = part_of(context.splits[job.arguments["split"]], rows)
    sampler = Sampler(context, job)
    kept, tried = [], 0
    for found in sampler.drawn(split, None, Keep(**job.arguments["keep"])):
        tried += 1
        if found is not None:
            kept.append(found.softmax(dim=-1))
            yield 1
    facts = {"asked": job.arguments["count"], "tried": tried, "kept": len(kept)}
    return Result({"drawn": {"probabilities": torch.stack(kept)}}, facts)


def reduce_drawn(context: Context, jobs: Sequence[Job]) -> Iterator[Event[Result]]:
    """Trajectories and drawn members of one subspace in as many dimensions as there are points, distances kept."""
    return each_alone(context, jobs, _reduce)


def _reduce(context: Context, job: Job) -> Result:
    split, name = job.arguments["split"], job.arguments["subspace"]
    members = [m for m in job.arguments["members"] if f"draw/embedding/{name}/member/{m}" in job.inputs]
    if len(members) < 2:
        raise MemberFailed(f"it takes two trajectories to compare, and {len(members)} came to the end", step=0)
    rows = some_examples(context, split, job.arguments["examples"])
    points, labels = [], []
    counts = []
    for member in members:
        walk = logits_of(job, member, split)[:, rows].softmax(dim=-1).flatten(1)
        result = job.inputs[f"draw/embedding/{name}/member/{member}"]()
        drawn = result.files["drawn"]["probabilities"].flatten(1)
        points += [walk, drawn]
        labels += [(member, 0, place) for place in range(len(walk))]
        labels += [(member, 1, place) for place in range(len(drawn))]
        counts.append({"member": member, **result.facts})
    reduced = isometric(torch.cat(points))
    member, drawn, number = torch.tensor(labels).T.contiguous()
    for row in counts:
        own = ((member == row["member"]) & (drawn == 1)).nonzero()[:, 0]
        row["purity_predictions"] = nearest_neighbour_purity(reduced, member, own)
    tensors = {"points": reduced, "member": member, "drawn": drawn, "number": number}
    return Result({"reduced": {n: t.contiguous() for n, t in tensors.items()}}, {"drawn": counts})


def embed_drawn(context: Context, jobs: Sequence[Job]) -> Iterator[Event[Result]]:
    """Points of a plane for one subspace's trajectories and drawn members, by one method with one seed."""
    return each_alone(context, jobs, _embed)


def _embed(context: Context, job: Job) -> Result:
    found = job.inputs["reduced"]().files["reduced"]
    points, member, seed = found["points"], found["member"], job.arguments["seed"]
    perplexity = job.arguments["perplexity"]
    if perplexity is not None and perplexity >= len(points):
        raise MemberFailed(f"there are {len(points)} points left, too few for perplexity {perplexity:g}", step=0)
    made: Embedding = {
        "pca": lambda: pca(points),
        "mds": lambda: mds(points, seed),
        "tsne": lambda: tsne(points, perplexity, seed),
    }[job.arguments["method"]]()
    fit = {"divergence": made.divergence, "explained": made.explained, "stress": made.stress}
    facts = {name: None if np.isnan(value) else value for name, value in fit.items()}
    facts["purity"] = nearest_neighbour_purity(made.points, member)
    facts["purity_drawn"] = nearest_neighbour_purity(made.points, member, (found["drawn"] == 1).nonzero()[:, 0])
    labels = {name: found[name] for name in ("member", "drawn", "number")}
    return Result({"embedding": {"points": made.points.contiguous(), **labels}}, facts)


@dataclass(frozen=True)
class _Picture:
    """One embedding of one subspace."""

    subspace: str
    method: Method
    perplexity: float | None
    seed: int

    @property
    def task(self) -> str:
        part = f"/perplexity/{self.perplexity:g}" if self.perplexity is not None else ""
        return f"embed/subspace/{self.subspace}/{self.method}{part}/seed/{self.seed}"


def gather_embeddings(context: Context, jobs: Sequence[Job]) -> Iterator[Event[Result]]:
    """All embeddings of all subspaces in columns, with their quality."""
    return each_alone(context, jobs, _gather)


def _gather(context: Context, job: Job) -> Result:
    quality, drawn, parts = [], [], []
    for name in job.arguments["subspaces"]:
        reduce = f"embed/subspace/{name}/reduce"
        if reduce in job.inputs:
            drawn += [{"subspace": name, **row} for row in job.inputs[reduce]().facts["drawn"]]
    pictures = [_Picture(**asked) for asked in job.arguments["pictures"]]
    for place, picture in enumerate(pictures):
        if picture.task in job.inputs:
            result = job.inputs[picture.task]()
            quality.append({**job.arguments["pictures"][place], **result.facts})
            found = result.files["embedding"]
            labels = [found[name].double() for name in ("member", "drawn", "number")]
            where = torch.full((len(labels[0]),), float(place), dtype=torch.float64)
            parts.append(torch.column_stack([where, *labels, found["points"].double()]))
    if not parts:
        raise MemberFailed("no embedding could be made: fewer than two trajectories came to the end", step=0)
    facts = {"quality": quality, "drawn": drawn, "steps": context.steps, "pictures": job.arguments["pictures"]}
    facts |= {name: job.arguments[name] for name in ("split", "examples")}
    return Result({"points": {"numbers": torch.cat(parts)}}, facts)


@final
@settings
class SubspaceEmbedding(Study):
    """Settings of the embeddings.

    The first ``trajectories`` members' checkpoints and ``count`` members drawn around each solution, kept by ``keep``,
    are embedded together, one embedding for each of the ``subspaces`` (None: all that fit network and trajectories), by
    their predictions on ``examples`` of a split (None: all; the paper takes 500): by PCA, by t-SNE for every perplexity
    and by MDS, these two with ``seeds`` seeds.
    """

    split: str = "test"
    examples: int | None = 500
    subspaces: tuple[str, ...] | None = None
    trajectories: int = 3
    count: int = 30
    keep: Keep = Keep()
    perplexities: tuple[float, ...] = (30.0,)
    seeds: int = 3

    def __post_init__(self) -> None:
        for name, least in (("trajectories", 2), ("count", 1), ("seeds", 1)):
            require(getattr(self, name) >= least, f"{name} must be at least {least}, got {getattr(self, name)}")
        require(self.examples is None or self.examples >= 1, f"examples must be at least 1, got {self.examples}")
        check_perplexities(self.perplexities)

    def _pictures(self, name: str) -> list[_Picture]:
        return [
            *(_Picture(name, "tsne", p, seed) for p in self.perplexities for seed in range(self.seeds)),
            _Picture(name, "pca", None, 0),
            *(_Picture(name, "mds", None, seed) for seed in range(self.seeds)),
        ]

    def tasks(self, setup: Setup, sizes: Sizes) -> Sequence[Task]:
        """Train, predict, draw, reduce, embed."""
        require_members(setup)
        require(self.split in sizes.examples, f"there is no split {self.split!r}; choose {', '.join(sizes.examples)}")
        require_validation(self.keep, sizes)
        names = chosen_subspaces(self.subspaces, setup, sizes)
        members = range(min(self.trajectories, setup.training.members))
        # Keeping may leave a single drawn member of each.
        points = len(members) * (checkpoint_count(setup, sizes) + (self.count if self.keep.least is None else 1))
        require(
            all(p < points for p in self.perplexities),
            f"perplexity must be below the number of points, {points}; got {list(self.perplexities)}",
        )
        at = {"split": self.split, "examples": self.examples}
        predicting = moved_prediction_tasks(setup, sizes, self.split)
        looked_at = min(self.examples or sizes.examples[self.split], sizes.examples[self.split])
        drawing, embedding, pictures = [], [], []
        for name in names:
            draws = [Draws("embedding", name, m, self.count, {**at, "keep": asdict(self.keep)}) for m in members]
            tasks = [drawing_task(setup, draw_predictions, found, {}) for found in draws]
            inputs = {task.name: task.name for task in tasks}
            inputs |= {found: predicting[found].name for found in (prediction_name(m, self.split) for m in members)}
            reduce = Task(
                f"embed/subspace/{name}/reduce",
                reduce_drawn,
                {"members": list(members), "subspace": name, **at},
                inputs,
                tolerant=True,
            )
            own = self._pictures(name)
            drawing += tasks
            embedding += [reduce, *(Task(p.task, embed_drawn, asdict(p), {"reduced": reduce.name}) for p in own)]
            pictures += [asdict(picture) for picture in own]
        gather = Task(
            "measure/embeddings",
            gather_embeddings,
            {"subspaces": names, "pictures": pictures, "split": self.split, "examples": looked_at},
            {task.name: task.name for task in embedding},
            tolerant=True,
        )
        return [*training_tasks(setup, sizes), *predicting.values(), *drawing, *embedding, gather]

    def tables(self, setup: Setup, results: Results) -> Mapping[str, Table]:
        """Members, drawn members, embeddings with their quality, and the answers."""
        gathered = results.read("measure/embeddings")
        if gathered is None:
            raise first_failure(setup, results, "measure/embeddings")
        quality = from_rows(SUBSPACE_EMBEDDING_QUALITY, [_nan_for_none(row) for row in gathered.facts["quality"]])
        drawn = from_rows(DRAWN, gathered.facts["drawn"])
        looked_at = f"{gathered.facts['examples']:,} {gathered.facts['split']}"
        return {
            "answers": answers(quality.rows(), drawn.rows(), looked_at),
            "members": members_table(setup, results, gathered.facts["steps"]),
            "embedding": _points_table(gathered),
            "embedding_quality": quality,
            "drawn": drawn,
        }


def _nan_for_none(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: np.nan if value is None else value for name, value in row.items()}


def _points_table(gathered: Result) -> Table:
    numbers = gathered.files["points"]["numbers"].numpy()
    pictures = [_nan_for_none(picture) for picture in gathered.facts["pictures"]]
    place = numbers[:, 0].astype(np.int64)
    columns = {n: np.array([picture[n] for picture in pictures])[place] for n in pictures[0]}
    rest = dict(zip(("member", "drawn", "number", "x", "y"), numbers[:, 1:].T, strict=True))
    return Table(SUBSPACE_EMBEDDING, columns | rest)
