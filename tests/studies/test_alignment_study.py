"""The study ``alignment`` end to end on a toy problem, against permutations and predictions by plain arithmetic."""

import itertools
import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from references import redrawn, slow, toy
from references.in_memory import perform

from modescape.app.jobs.network import unmatched
from modescape.core.engine.engine import Engine
from modescape.core.engine.way import Room
from modescape.core.landscape.alignment import Proof
from modescape.core.seeds import generator
from modescape.core.weights import Weights
from modescape.errors import MemberFailed
from modescape.studies.alignment import Alignment
from modescape.studies.alignment_answers import answers as answers_of
from modescape.studies.alignment_words import with_sentences
from modescape.tables import ALIGNMENT

pytestmark = pytest.mark.study

EXAMPLES, POINTS = 40, 5
STUDY = Alignment(examples=EXAMPLES, points=POINTS, draws=200, starts=2)
PAIRS = [(0, 1), (0, 2), (1, 2)]
METHODS = ["none", "weights", "activations"]


@pytest.fixture(scope="module")
def toy_run():
    """The context, the results of all tasks, and the tables. Made once: nothing below changes them."""
    torch.set_num_threads(1)
    context = toy.context_of(4)
    return context, *toy.performed(context, STUDY)


def rows_of(context, split):
    """The choice that the root seed fixes."""
    count = len(context.splits[split])
    return sorted(torch.randperm(count, generator=generator(context.setup.seed, "examples", split)).tolist()[:EXAMPLES])


def solution(context, results, member):
    return redrawn.path_of(context, results, member).solution


def reordered(member, order):
    """The toy's eight hidden units in another order, tensor by tensor."""
    own = {**member.params, **member.buffers}
    own |= {n: own[n][:, order] for n in own if n.startswith(("1.", "2.")) and own[n].ndim > 1}
    own["5.weight"] = own["5.weight"][:, :, order]
    return Weights({n: own[n] for n in member.params}, {n: own[n] for n in member.buffers}, member.origin)


def vector(member):
    return np.concatenate([t[0].double().numpy().ravel() for t in member.params.values()])


def between(one, other, t):
    mixed = {n: (1 - t) * one.params[n].double() + t * other.params[n].double() for n in one.params}
    return Weights(mixed, one.buffers, one.origin)


def losses(context, member, split):
    """Losses and classes of one network on the chosen examples, statistics from all training examples."""
    rows = rows_of(context, split)
    logits = redrawn.logits(context, member, split)[rows]
    targets = context.splits[split].targets.numpy()[rows]
    found = [-math.log(slow.softmax(row.tolist())[target]) for row, target in zip(logits, targets, strict=True)]
    return np.array(found), logits.argmax(axis=1), targets


def gains(context, results, pair, method):
    """What each of the second's units adds in each place of the first [place, unit], and the order that is best."""
    one, other = (solution(context, results, m) for m in pair)
    found = np.zeros((8, 8))
    if method == "weights":
        for place, unit in itertools.product(range(8), range(8)):
            for name in ("1.weight", "1.bias", "2.weight", "2.bias"):
                a, b = one.params[name][0, place].double().numpy(), other.params[name][0, unit].double().numpy()
                found[place, unit] += float(np.sum(a * b))
            a, b = one.params["5.weight"][0, :, place].double(), other.params["5.weight"][0, :, unit].double()
            found[place, unit] += float((a * b).sum())
        return found
    hidden = []
    for member in (one, other):
        own = {n: t[0].double().numpy() for n, t in {**member.params, **member.buffers}.items()}
        inputs = redrawn.scaled(context, "train")[rows_of(context, "train")]
        before = inputs @ own["1.weight"].T + own["1.bias"]
        normed = (before - own["2.running_mean"]) / np.sqrt(own["2.running_var"] + redrawn.EPSILON)
        hidden.append(np.maximum(normed * own["2.weight"] + own["2.bias"], 0))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.nan_to_num(np.corrcoef(hidden[0].T, hidden[1].T)[:8, 8:])


def best_order(matrix):
    """The best of all 40,320 orders, by dynamic programming over sets of units."""
    best = {0: (0.0, ())}
    for place in range(8):
        after = {}
        for taken, (total, order) in best.items():
            for unit in range(8):
                if not taken >> unit & 1:
                    key, value = taken | 1 << unit, total + matrix[place, unit]
                    if key not in after or value > after[key][0]:
                        after[key] = (value, (*order, unit))
        best = after
    return list(best[255][1])


def test_there_is_every_table_that_the_schemas_describe(toy_run):
    _, _, tables = toy_run
    assert {name: table.schema for name, table in tables.items()} == ALIGNMENT
    assert [row["status"] for row in tables["members"].rows()] == ["done"] * 4


def test_every_pair_has_every_method_and_every_line_its_points(toy_run):
    _, _, tables = toy_run
    found = [((r["member_a"], r["member_b"]), r["method"]) for r in tables["alignments"].rows()]
    assert found == [(pair, method) for pair in PAIRS for method in METHODS]
    lines = tables["aligned_lines"].rows()
    assert len(lines) == len(found) * 2 * POINTS
    assert [row["position"] for row in lines] == [0, 0.25, 0.5, 0.75, 1] * (2 * len(found))
    assert [row["split"] for row in lines[::POINTS]] == ["test", "train"] * len(found)


@pytest.mark.parametrize("method", METHODS)
def test_the_numbers_are_those_of_the_best_order_and_plain_arithmetic(toy_run, method):
    context, results, tables = toy_run
    for pair in PAIRS:
        one, other = (solution(context, results, m) for m in pair)
        order = list(range(8)) if method == "none" else best_order(gains(context, results, pair, method))
        moved = reordered(other, order)
        (row,) = [
            r for r in tables["alignments"].rows() if (r["member_a"], r["member_b"], r["method"]) == (*pair, method)
        ]
        assert row["moved"] == sum(place != unit for place, unit in enumerate(order)) / 8
        a, b = vector(one), vector(moved)
        assert row["similarity"] == pytest.approx(a @ b / np.linalg.norm(a) / np.linalg.norm(b), abs=1e-6)
        assert row["proof_disagreement"] == 0
        assert 0 <= row["proof_difference"] < 1e-5
        for split, column in (("test", "barrier"), ("train", "barrier_train")):
            points = [losses(context, between(one, moved, t), split) for t in np.linspace(0, 1, POINTS)]
            means = np.array([found.mean() for found, _, _ in points])
            straight = [(1 - t) * means[0] + t * means[-1] for t in np.linspace(0, 1, POINTS)]
            own = [
                r
                for r in tables["aligned_lines"].rows()
                if (r["member_a"], r["member_b"], r["method"], r["split"]) == (*pair, method, split)
            ]
            # float32 networks of a few layers
            assert [r["nll"] for r in own] == pytest.approx(means, abs=1e-4)
            assert [r["straight"] for r in own] == pytest.approx(straight, abs=1e-4)
            assert [r["accuracy"] for r in own] == pytest.approx([np.mean(c == t) for _, c, t in points], abs=1e-9)
            assert row[column] == pytest.approx(max(means - straight), abs=1e-4)
            if split == "test":
                first, half, last = (points[i][1] for i in (0, 2, 4))
                assert row["disagreement"] == pytest.approx(np.mean(first != last))
                assert row["middle_disagreement_a"] == pytest.approx(np.mean(half != first))
                assert row["middle_disagreement_b"] == pytest.approx(np.mean(half != last))
                assert row["middle_accuracy"] == pytest.approx(np.mean(half == points[2][2]))
                assert row["middle_nll"] == pytest.approx(means[2], abs=1e-4)


def test_matching_makes_solutions_more_alike_and_not_their_functions(toy_run):
    _, _, tables = toy_run
    rows = tables["alignments"].rows()
    for pair in PAIRS:
        none, weights, activations = [r for r in rows if (r["member_a"], r["member_b"]) == pair]
        assert weights["similarity"] > max(none["similarity"], activations["similarity"] - 1e-9)
        assert none["disagreement"] == weights["disagreement"] == activations["disagreement"]
        assert none["moved"] == 0


def test_the_answers_are_means_over_pairs_with_intervals_over_examples(toy_run):
    context, results, tables = toy_run
    rows = {row["quantity"]: row for row in tables["answers"].rows()}
    table = tables["alignments"].rows()
    for method in METHODS:
        found = [r["barrier"] for r in table if r["method"] == method]
        row = rows[f"barrier_{method}"]
        assert row["value"] == pytest.approx(np.mean(found))
        assert (row["least"], row["most"], row["count"]) == (pytest.approx(min(found)), pytest.approx(max(found)), 3)
        assert row["low"] <= row["value"] <= row["high"]
        alike = rows[f"similarity_{method}"]
        assert alike["value"] == pytest.approx(np.mean([r["similarity"] for r in table if r["method"] == method]))
        assert math.isnan(alike["low"])
        half = [(r["middle_disagreement_a"] + r["middle_disagreement_b"]) / 2 for r in table if r["method"] == method]
        assert rows[f"middle_disagreement_{method}"]["value"] == pytest.approx(np.mean(half))
    best = min(("weights", "activations"), key=lambda method: rows[f"barrier_{method}"]["value"])
    left = rows["barrier_left"]
    assert left["value"] == pytest.approx(rows[f"barrier_{best}"]["value"] / rows["barrier_none"]["value"])
    assert next(iter(rows)) == "barrier_left"
    assert f"matched by {best}" in left["sentence"]
    # the same draws of examples by hand
    losses = torch.stack([results.read(f"align/{best}/pair/{a}-{b}").files["test"]["losses"] for a, b in PAIRS]).numpy()
    chance, drawn = generator(context.setup.seed, "bootstrap", "alignment"), []
    for _ in range(2):
        for index in torch.randint(0, EXAMPLES, (100, EXAMPLES), generator=chance).numpy():
            means = losses[:, :, index].mean(axis=2)
            t = np.linspace(0, 1, POINTS)
            drawn.append(np.mean([max(m - (1 - t) * m[0] - t * m[-1]) for m in means]))
    row = rows[f"barrier_{best}"]
    assert (row["low"], row["high"]) == pytest.approx(tuple(np.quantile(drawn, [0.025, 0.975])))


@pytest.mark.parametrize("cores", [1, 3])
def test_the_number_of_cores_changes_no_number(toy_run, cores):
    context, results, _ = toy_run
    tasks = [task for task in STUDY.tasks(context.setup, toy.sizes_of(context)) if task.phase == "align"]
    for name, result in toy.together(replace(context, engine=Engine(room=Room(cores))), results, tasks).items():
        before = results.read(name)
        assert result.facts == before.facts
        for file, tensors in before.files.items():
            assert all(torch.equal(result.files[file][n], tensor) for n, tensor in tensors.items())


def test_the_study_looks_at_the_training_examples_alone_if_asked():
    context = toy.context_of(2, normalised=False)
    _, tables = toy.performed(context, replace(STUDY, split="train", examples=None, methods=("weights",)))
    assert [row["split"] for row in tables["aligned_lines"].rows()] == ["train"] * (2 * POINTS)
    for row in tables["alignments"].rows():
        assert row["barrier"] == row["barrier_train"]


def test_another_number_of_starts_leaves_other_methods_their_tasks():
    context = toy.context_of(2)
    few, many = (replace(STUDY, starts=n).tasks(context.setup, toy.sizes_of(context)) for n in (1, 9))
    differing = {a.name for a, b in zip(few, many, strict=True) if a != b}
    assert differing == {"align/weights/pair/0-1"}


def test_at_most_so_many_pairs_first_those_of_the_first_members():
    context = toy.context_of(4)
    tasks = replace(STUDY, pairs=4).tasks(context.setup, toy.sizes_of(context))
    names = [task.name.rpartition("/")[2] for task in tasks if task.name.startswith("align/none")]
    assert names == ["0-1", "0-2", "1-2", "0-3"]


def test_a_pair_of_a_member_that_fails_is_left_out(monkeypatch):
    monkeypatch.setattr("modescape.core.training.work.train", toy.failing({1}))
    _, tables = toy.performed(toy.context_of(3), STUDY)
    assert {(r["member_a"], r["member_b"]) for r in tables["alignments"].rows()} == {(0, 2)}
    assert tables["answers"].rows()[0]["count"] == 1


def test_without_a_pair_there_is_no_study(monkeypatch):
    context = toy.context_of(2)
    monkeypatch.setattr("modescape.core.training.work.train", toy.failing({0}))
    results = perform(STUDY.tasks(context.setup, toy.sizes_of(context)), context)
    with pytest.raises(MemberFailed, match="member 0 diverged on purpose"):
        STUDY.tables(context.setup, results)


def test_a_function_that_permuting_changed_ends_the_study_and_no_other(monkeypatch):
    monkeypatch.setattr("modescape.studies.alignment.prove", lambda *_: Proof(0.3, 0.5, 2.0, False))
    context = toy.context_of(2)
    results = perform(STUDY.tasks(context.setup, toy.sizes_of(context)), context)
    reason = results.failure("align/weights/pair/0-1")["reason"]
    assert "member 1 changes its logits by 0.5, the largest being 2" in reason
    with pytest.raises(MemberFailed):
        STUDY.tables(context.setup, results)


def test_a_network_that_cannot_be_followed_is_refused_before_it_is_trained():
    context = replace(toy.context_of(2), build=lambda: torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(2, 3)))
    obstacle = partial(unmatched, context.build, context.splits["train"].inputs[:4])
    with pytest.raises(ValueError, match="cannot be matched: no hidden unit of Sequential may change places"):
        STUDY.tasks(context.setup, replace(toy.sizes_of(context), unmatched=obstacle))
    assert unmatched(toy.build, context.splits["train"].inputs[:4]) == ""
    results = perform(STUDY.tasks(context.setup, toy.sizes_of(context)), context)
    assert "no hidden unit of Sequential" in results.failure("align/none/pair/0-1")["reason"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"pairs": 0}, "pairs must be at least 1"),
        ({"points": 1}, "points must be at least 3"),
        ({"points": 4}, "points must be odd"),
        ({"starts": 0}, "starts must be at least 1"),
        ({"examples": 1}, "examples must be at least 2"),
        ({"draws": 10}, "draws must be at least 100"),
        ({"methods": ()}, "methods must be different"),
        ({"methods": ("weights", "weights")}, "methods must be different"),
    ],
)
def test_impossible_settings_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        Alignment(**settings)


def test_it_takes_two_members_and_a_split_that_exists():
    context = toy.context_of(1)
    with pytest.raises(ValueError, match=r"training\.members must be at least 2"):
        STUDY.tasks(context.setup, toy.sizes_of(context))
    context = toy.context_of(2)
    with pytest.raises(ValueError, match="there is no split 'nowhere'"):
        replace(STUDY, split="nowhere").tasks(context.setup, toy.sizes_of(context))


def row(quantity, value, low=math.nan, high=math.nan, count=3):
    return {
        "quantity": quantity,
        "value": value,
        "low": low,
        "high": high,
        "least": value,
        "most": value,
        "count": count,
    }


def lead(left, high, accuracy=0.9, lost=0.01):
    rows = [
        row("barrier_left", left, left, high),
        row("barrier_none", 2.0),
        row("barrier_weights", 2.0 * left),
        row("accuracy_ends", accuracy, accuracy),
        row("middle_accuracy_weights", accuracy - lost),
    ]
    return with_sentences(rows, {"best": "weights", "split": "test", "chance": 0.1})[0]["sentence"]


def test_the_lead_grades_what_is_left_of_the_barrier():
    assert lead(0.02, 0.08).startswith(
        "These solutions are one mode but for the order of their hidden units: the barrier"
    )
    # A small share of a high barrier may still be a wall.
    assert "one mode but" not in lead(0.02, 0.08, lost=0.05)
    assert "2.000 nats before and 0.040 after their hidden units are matched by weights, 2.0% of it" in lead(0.02, 0.08)
    assert lead(0.5, 0.6).startswith("Another order of hidden units does not make these solutions one mode")
    assert lead(1.1, 1.2).startswith("Another order of hidden units does not even lower the barrier")
    assert "A better order may exist" in lead(0.5, 0.6)
    assert "A better order may exist" not in lead(0.02, 0.08)
    assert lead(math.nan, math.nan).startswith("There is no barrier between these solutions")
    assert lead(0.5, 0.6, accuracy=0.1).endswith("of trained ones this says nothing.")


def test_a_line_without_a_barrier_has_no_ratio(toy_run):
    context, results, _ = toy_run
    flat = []
    for method in METHODS:
        result = results.read(f"align/{method}/pair/0-1")
        files = {n: {**t, "losses": torch.ones_like(t["losses"])} for n, t in result.files.items()}
        flat.append(replace(result, files=files))
    from modescape.studies.alignment_answers import Aligned

    (first, *_) = answers_of([Aligned(result, "test") for result in flat], context.setup.seed, 100).rows()
    assert math.isnan(first["value"])
    assert first["sentence"].startswith("There is no barrier")
