"""What the cross-sections say, in numbers and words."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from modescape.studies.abstract import Result
from modescape.studies.words import UNTRAINED, number, percent, small

DROP = 0.05
"""Accuracy below the solution's at which its valley ends."""
ALIKE = 0.15
"""Of normalised similarity, and of a solution's length: so little is called none."""


def answers(results: Sequence[Result]) -> list[dict[str, Any]]:
    """Rows of the table ``answers``: what lies between solutions, then along rays, then at what cost."""
    of = {kind: [r for r in results if r.facts["kind"] == kind] for kind in ("line", "sector", "random", "plane")}
    return [
        *_between(of["line"]),
        *(row for result in of["sector"] for row in (*_radial(result), *_walks(result))),
        *(row for result in of["random"] for row in _around(result)),
        *_cost(results),
    ]


def _between(lines: Sequence[Result]) -> Iterator[dict[str, Any]]:
    """What lies half way between solutions."""
    if not lines:
        return
    middle, ends, apart = [], [], []
    for result in lines:
        at, accuracy = result.files["grid"]["a"].numpy(), result.files["grid"]["value.accuracy"].numpy()
        first, half, last = (_nearest(at, place) for place in (0.0, 0.5, 1.0))
        middle.append(float(accuracy[half]))
        ends.append(float(accuracy[[first, last]].mean()))
        second = result.facts["members"][1]
        apart.append(float(result.files["grid"][f"value.normalised_disagreement/{second}"].numpy()[first]))
    yield _row(
        "accuracy_half_way",
        middle,
        lambda row: (
            f"Half way between two solutions a network is right on {percent(row['value'])} of the examples, the "
            f"solutions on {percent(float(np.mean(ends)))}{_over(row, 'pair', percent)}.{_doubt(lines, ends)}"
        ),
    )
    yield _row(
        "normalised_disagreement_of_ends",
        apart,
        lambda row: (
            f"The solution at one end disagrees with that at the other on {number(row['value'])} times as many "
            f"examples as it gets wrong{_over(row, 'pair', number)}."
        ),
    )


def _radial(result: Result) -> Iterator[dict[str, Any]]:
    """Figure 5: the valley of each solution, and what lies between."""
    layout, members = result.facts["layout"], result.facts["members"]
    rays = [_Ray(result, place) for place in range(2)]
    if layout == "orthonormal":
        # The second solution is not exactly on a ray of the grid.
        rays = rays[:1]
    names = f"in the {layout} sector of solutions {members[0]} and {members[1]}"
    yield _row(
        f"radius_reached_{layout}",
        [ray.reached for ray in rays],
        lambda row: (
            f"Along a solution's ray, from the origin to it, the accuracy comes within {100 * DROP:g} points of "
            f"the solution's at radius {number(row['value'])}{_over(row, 'ray', number)}, {names}."
        ),
    )
    yield _row(
        f"accuracy_between_{layout}",
        [ray.between for ray in rays[:1]],
        lambda row: f"At radius 1 half way between the two rays, at 45 degrees, it is {percent(row['value'])}.",
    )
    yield _row(
        f"half_width_{layout}",
        [ray.half_width for ray in rays],
        lambda row: (
            f"At radius 1 the valley ends {row['value']:.0f} degrees from the ray, where {100 * DROP:g} points are "
            f"lost{_over(row, 'ray', lambda v: f'{v:.0f}')}."
        ),
    )
    yield _row(
        f"similarity_to_other_{layout}",
        [ray.similarity_to_other for ray in rays],
        lambda row: (
            "Along a ray, wherever it is as accurate, the normalised similarity to the other solution is at most "
            f"{number(row['value'])}{_over(row, 'ray', number)}"
            f"{_if_little(row, ': each valley has a function of its own')}."
            f"{_doubt([result], [ray.enough + DROP for ray in rays])}"
        ),
    )


def _walks(result: Result) -> Iterator[dict[str, Any]]:
    """Where trajectories run, seen from the origin."""
    layout = result.facts["layout"]
    yield _row(
        f"initialisation_radius_{layout}",
        [float(along.mean()) for along, _, _ in _marked(result, "initialisation")],
        lambda row: (
            f"Initialisations project onto their solution's ray at radius {number(row['value'])}"
            f"{_over(row, 'network', number)}."
        ),
    )
    yield _row(
        f"off_the_ray_{layout}",
        [float(np.hypot(across, beyond).max()) for _, across, beyond in _marked(result, "checkpoint")],
        lambda row: (
            f"Checkpoints lie at most {number(row['value'])} of their solution's length off its ray"
            f"{_over(row, 'network', number)}{_if_little(row, ': trajectories run radially')}."
        ),
    )
    yield _row(
        f"off_the_ray_as_drawn_{layout}",
        [float(np.abs(across).max()) for _, across, _ in _marked(result, "checkpoint")],
        lambda row: (
            f"Within the sector it looks like at most {number(row['value'])}{_over(row, 'network', number)}: in so "
            "many dimensions hardly anything of a way shows in a plane that was not made for it."
        ),
    )


class _Ray:
    """What a sector's grid says along one solution's ray and at radius 1 around it."""

    def __init__(self, result: Result, place: int) -> None:
        rows, columns = result.facts["shape"]
        grid = {name: value.numpy().reshape(rows, columns) for name, value in result.files["grid"].items()}
        self.radii, self.angles = grid["a"][:, 0], grid["b"][0]
        self.accuracy = grid["value.accuracy"]
        other = result.facts["members"][1 - place]
        self.other = grid[f"value.normalised_similarity/{other}"]
        self.turn = 1 if place == 0 else -1
        self.column = _nearest(self.angles, 90.0 * place)
        self.row = _nearest(self.radii, 1.0)

    @property
    def enough(self) -> float:
        return float(self.accuracy[self.row, self.column]) - DROP

    @property
    def reached(self) -> float:
        """Least radius from which on, up to the solution, the accuracy is close to the solution's; NaN without one."""
        if math.isnan(self.enough):
            return math.nan
        below = np.flatnonzero(~(self.accuracy[: self.row + 1, self.column] >= self.enough))
        return float(self.radii[below[-1] + 1]) if len(below) else 0.0

    @property
    def between(self) -> float:
        return float(self.accuracy[self.row, _nearest(self.angles, 45.0)])

    @property
    def half_width(self) -> float:
        """Degrees towards the other solution at which the accuracy falls below enough, between grid points linearly."""
        walk = self.accuracy[self.row, self.column :: self.turn]
        away = np.abs(self.angles[self.column :: self.turn] - self.angles[self.column])
        below = np.flatnonzero(~(walk >= self.enough))
        if not len(below):
            return math.nan
        last = below[0]
        share = (walk[last - 1] - self.enough) / (walk[last - 1] - walk[last])
        return float(away[last - 1] + share * (away[last] - away[last - 1]))

    @property
    def similarity_to_other(self) -> float:
        """The largest on the ray where its accuracy is close to its solution's."""
        rim = (self.radii >= self.reached) & (self.accuracy[:, self.column] >= self.enough)
        return float(np.nanmax(self.other[rim, self.column], initial=-math.inf)) if rim.any() else math.nan


def _marked(result: Result, kind: str) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """For each member its marks' place along its ray, across it within the sector, and off the sector.

    In units of the solution's length (across: of the other solution's in an oblique sector).
    """
    marks = {name: value.numpy() for name, value in result.files["marks"].items()}
    for axis, member in enumerate(result.facts["members"]):
        rows = [n for n, (what, whose, _) in enumerate(result.facts["marks"]) if (what, whose) == (kind, member)]
        if rows:
            places = np.column_stack([marks["x"], marks["y"]])[rows]
            yield places[:, axis], places[:, 1 - axis], marks["distance"][rows] / result.facts["lengths"][axis]


def _around(result: Result) -> Iterator[dict[str, Any]]:
    """How far one may go in a random direction."""
    rows, columns = result.facts["shape"]
    grid = {name: value.numpy().reshape(rows, columns) for name, value in result.files["grid"].items()}
    distance = np.hypot(grid["a"], grid["b"])
    middle = np.unravel_index(distance.argmin(), distance.shape)
    worse = ~(grid["value.accuracy"] >= grid["value.accuracy"][middle] - DROP)
    far = [float(distance[worse].min())] if worse.any() else []
    yield _row(
        "random_reach",
        far,
        lambda row: (
            f"Around solution {result.facts['members'][0]}, along two random directions as long as its filters, "
            f"{100 * DROP:g} points of accuracy are first lost at {number(row['value'])} of that length."
        ),
    )


def _cost(results: Sequence[Result]) -> Iterator[dict[str, Any]]:
    """What interpolation spared, and how wrong it is."""
    points = sum(math.prod(result.facts["shape"]) for result in results)
    evaluated = sum(result.facts["evaluated"] for result in results)
    worst = [
        float(result.files["errors"]["largest"][result.facts["quantities"].index("accuracy")])
        for result in results
        if result.facts["checked"]
    ]
    told = f"; where others were checked the accuracy was at most {small(max(worst))} off" if worst else ""
    yield _row(
        "points_evaluated",
        [float(evaluated)],
        lambda row: f"Of {points:,} points {evaluated:,} were evaluated and the others interpolated{told}.",
    )


def _if_little(row: dict[str, Any], conclusion: str) -> str:
    return conclusion if row["most"] < ALIKE else ""


def _doubt(results: Sequence[Result], accuracies: Sequence[float]) -> str:
    """What is added where the solutions are hardly better than chance."""
    return UNTRAINED if max(accuracies) < 1.5 / results[0].facts["classes"] else ""


def _nearest(values: np.ndarray, wanted: float) -> int:
    return int(np.abs(values - wanted).argmin())


def _over(row: dict[str, Any], noun: str, show: Callable[[float], str]) -> str:
    if row["count"] < 2:
        return ""
    return f" (over {row['count']} {noun}s {show(row['least'])} to {show(row['most'])})"


def _row(quantity: str, values: Sequence[float], say: Callable[[dict[str, Any]], str]) -> dict[str, Any]:
    finite = [value for value in values if math.isfinite(value)]
    row: dict[str, Any] = {"quantity": quantity, "low": math.nan, "high": math.nan, "count": len(finite)}
    numbers = (float(np.mean(finite)), min(finite), max(finite)) if finite else (math.nan,) * 3
    row |= dict(zip(("value", "least", "most"), numbers, strict=True))
    return {**row, "sentence": say(row) if finite else f"{quantity.replace('_', ' ')}: there is no such number here."}
