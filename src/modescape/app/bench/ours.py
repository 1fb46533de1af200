"""modescape's side of each comparison."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace

import torch

from modescape.app.bench.assignment import Assignment, accuracy_of, random_predictions
from modescape.app.bench.contestant import Contestant
from modescape.app.jobs.engine import Wanted, choose
from modescape.core.diversity.disagreement import disagreement_matrix
from modescape.core.diversity.divergence import divergence_matrix
from modescape.core.diversity.embedding import isometric, tsne
from modescape.core.engine.engine import Engine
from modescape.core.engine.events import Failed, Finished
from modescape.core.engine.way import Room
from modescape.core.evaluation import BLOCK, Blocks, Evaluation, Scratch, blocks_of, evaluate
from modescape.core.landscape.cross_section import Grid, plane_through
from modescape.core.landscape.refinement import Refinement, refine
from modescape.core.predictions import predict_all
from modescape.core.reductions import MemberScores, Scores
from modescape.core.seeds import generator
from modescape.core.splits import Split
from modescape.core.training.plan import initial_state
from modescape.core.training.settings import Optimiser, Training
from modescape.core.training.work import Leg, Trainings
from modescape.core.weights import Weights, cosine, inner_products, stack
from modescape.studies.abstract import Context
from modescape.studies.setup import DataChoice, NetworkChoice, Setup

TOLERANCE = 0.01
"""Of a picture: a hundredth of its range is less than the steps of most colour scales."""


class Train(Contestant):
    """Members from their initialisations, by the way that is fastest here."""

    def __init__(self, given: Assignment) -> None:
        super().__init__(given)
        torch.set_num_threads(1)
        train, self.test, scaling = given.splits()
        device = torch.device(given.device)
        optimiser = Optimiser(rate=given.rate)
        training = Training(members=given.members, epochs=given.epochs, batch=given.batch, optimiser=optimiser)
        setup = Setup(data=DataChoice(name="cifar10"), network=NetworkChoice(name=given.network), training=training)
        splits = {"train": train.on(device)}
        engine = Engine(room=Room(given.cores, given.members))
        self.context = Context(setup, splits, scaling.to(device), 10, given.builder, engine)
        self.engine = choose(self.context, Wanted(given.way, given.members, given.precision)).engine
        self.about = self.engine.way
        plan = self.context.plan
        self.legs = [Leg(m, initial_state(plan, m), given.epochs) for m in range(given.members)]

    def once(self) -> float:
        """Images trained, summed over members."""
        ends: dict[int, Weights] = {}
        for event in self.engine.run(Trainings(self.context.plan, self.legs)):
            if isinstance(event, Failed):
                raise event.error
            if isinstance(event, Finished):
                ends[event.index] = event.result.end.weights
        self.weights = stack([ends[member] for member in range(len(ends))])
        return float(len(ends) * self.context.plan.steps_per_epoch * self.given.epochs * self.given.batch)

    def found(self) -> Mapping[str, float | list[float]]:
        """Accuracy on the test examples."""
        logits = predict_all(self.given.build, self.weights, self.test, self.context.scaling)
        return accuracy_of(list(logits), self.test.targets)


class Evaluate(Contestant):
    """Accuracy and loss of many weight vectors."""

    def __init__(self, given: Assignment) -> None:
        super().__init__(given)
        torch.set_num_threads(1)
        train, self.test, self.scaling = given.splits()
        few = Split(train.inputs[: given.statistics], train.targets[: given.statistics])
        self.statistics = few if given.statistics else None
        self.scratches = [Scratch(given.build(), self.test, self.scaling) for _ in range(given.cores)]
        self.about = "lean network, a core each"
        self.blocks = self.members()

    def members(self) -> Blocks:
        """The weight vectors."""
        return blocks_of(self.given.weights(self.given.points), min(BLOCK, -(-self.given.points // self.given.cores)))

    def scores(self, blocks: Blocks) -> Scores:
        """Scores of some weight vectors."""
        asked = Evaluation(self.test, self.scaling, (MemberScores(),), self.statistics)
        work = evaluate(self.scratches, blocks, asked)
        while True:
            try:
                next(work)
            except StopIteration as stop:
                found: Scores = stop.value[0]
                return found

    def once(self) -> float:
        """Images evaluated, summed over weight vectors."""
        self.last = self.scores(self.blocks)
        return float(self.given.points * len(self.test))

    def found(self) -> Mapping[str, float | list[float]]:
        """Mean loss and accuracy over all weight vectors."""
        return {"loss": float(self.last.nll.mean()), "accuracy": float(self.last.accuracy.mean())}


class Plane(Evaluate):
    """Points of the plane through three networks, the very ones that the peer evaluates."""

    def members(self) -> Blocks:
        """The points in the order in which the peer walks over them: row by row, every second one backwards."""
        corners = self.given.weights(3)
        plane = plane_through(corners[0], corners[1], corners[2])
        side = self.given.side
        # It takes a step before each point of an even row: its columns run from 1 there, and from 0 in odd rows.
        columns = ([j + 1 for j in range(side)], [side - 1 - j for j in range(side)])
        rows = [(i / side, column / side) for i in range(side) for column in columns[i % 2]]
        points = torch.tensor(rows[: self.given.points], dtype=torch.float64)
        chunks = points.split(min(32, -(-len(points) // (2 * self.given.cores))))
        return Blocks(len(chunks), lambda place: plane.at(chunks[place]))


class WithoutStatistics(Evaluate):
    """The same weight vectors, with the statistics that they came with."""

    def __init__(self, given: Assignment) -> None:
        super().__init__(replace(given, statistics=0))


class WholePicture(Evaluate):
    """Every point of a grid on the plane through three trained networks, from a fifth before them to a fifth behind."""

    def __init__(self, given: Assignment) -> None:
        trained = Train(replace(given, members=3))
        trained.once()
        corners = trained.weights
        self.plane = plane_through(corners[0], corners[1], corners[2])
        axis = torch.linspace(-0.2, 1.2, given.side, dtype=torch.float64)
        self.grid = Grid((axis, axis))
        super().__init__(given)

    def members(self) -> Blocks:
        """The points, row by row."""
        return self.at(self.grid.points())

    def at(self, points: torch.Tensor) -> Blocks:
        """Some points, in blocks."""
        chunks = points.split(max(1, min(32, -(-len(points) // self.given.cores))))
        return Blocks(len(chunks), lambda place: self.plane.at(chunks[place]))

    def warm_up(self) -> None:
        """A few points."""
        self.scores(self.at(self.grid.points()[:8]))

    def found(self) -> Mapping[str, float | list[float]]:
        """The logarithm of the loss at every point: what a picture of it shows."""
        return {"picture": self.last.nll.log().tolist()}


class Picture(WholePicture):
    """The same picture by adaptive refinement."""

    def once(self) -> float:
        """The points of the picture, evaluated or not: what is shown is the same."""
        wanted = Refinement(tolerance=(TOLERANCE,), transforms=("log",))
        chance = generator(0, "bench", "picture")
        work = refine(self.grid.axes, lambda points: self.scores(self.at(points)).nll[:, None], wanted, chance)
        while True:
            try:
                next(work)
            except StopIteration as stop:
                self.picture = stop.value
                break
        error = self.picture.error
        self.about = (
            f"{self.picture.evaluations} of {self.given.side**2} points; error at {error.checked} checks: largest "
            f"{float(error.largest_fraction[0]):.2%} of the range of log loss, root mean square "
            f"{float(error.rms_fraction[0]):.2%}"
        )
        return float(self.given.side**2 * len(self.test))

    def found(self) -> Mapping[str, float | list[float]]:
        """The logarithm of the loss at every point."""
        return {"picture": self.picture.values.flatten().log().tolist()}


class Pairwise(Contestant):
    """A measure over all pairs of 300 checkpoints."""

    def __init__(self, given: Assignment) -> None:
        super().__init__(given)
        self.about = "matrix products"
        self.logits = random_predictions(given)
        self.classes = self.logits.argmax(dim=-1)

    @abstractmethod
    def matrix(self) -> torch.Tensor:
        """The measure of every pair."""

    def once(self) -> float:
        """All pairs at once."""
        self.last = self.matrix()
        return 1.0

    def found(self) -> Mapping[str, float | list[float]]:
        """The mean over all pairs."""
        return {"mean": float(self.last.mean())}


class Disagreement(Pairwise):
    """Disagreement from predicted classes."""

    def matrix(self) -> torch.Tensor:
        """See ``Pairwise``."""
        return disagreement_matrix(self.classes, 10)


class Divergence(Pairwise):
    """Kullback-Leibler divergence from logits."""

    def matrix(self) -> torch.Tensor:
        """See ``Pairwise``."""
        return divergence_matrix(self.logits)


class Similarity(Pairwise):
    """Cosine of weights."""

    def __init__(self, given: Assignment) -> None:
        super().__init__(given)
        self.weights = given.weights(given.points)

    def matrix(self) -> torch.Tensor:
        """See ``Pairwise``."""
        return cosine(inner_products(self.weights))


class Embedding(Pairwise):
    """t-SNE of predictions after the exact isometric reduction."""

    def warm_up(self) -> None:
        """Fewer points, but more than the perplexity."""
        type(self)(replace(self.given, points=100)).once()

    def matrix(self) -> torch.Tensor:
        """The points."""
        return tsne(isometric(self.logits.softmax(dim=-1).flatten(1)), 30.0, 0).points

    def found(self) -> Mapping[str, float | list[float]]:
        """Nothing that others would find: the map depends on the library's own chance."""
        return {}
