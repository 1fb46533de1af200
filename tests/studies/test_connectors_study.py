"""The study ``connectors`` end to end on a toy problem, against networks loaded one by one."""

import math

import numpy as np
import pytest
import torch
from references import toy
from references.in_memory import perform

from modescape.core.landscape.connectors.abstract import ends_of, fitted
from modescape.core.landscape.connectors.bezier import Bezier
from modescape.core.landscape.connectors.descent import Descent, Problem
from modescape.core.models.batch_norm import refresh_statistics
from modescape.core.seeds import generator
from modescape.core.training.settings import Optimiser
from modescape.core.weights import load_into
from modescape.errors import MemberFailed
from modescape.studies.connectors import Connectors
from modescape.studies.connectors_words import answers
from modescape.studies.members import unpack
from modescape.tables import CONNECTING

pytestmark = pytest.mark.study

DESCENT = Descent(steps=60, batch=16, optimiser=Optimiser(rate=0.02))
STUDY = Connectors(
    examples=40, train_examples=30, pairs=2, ends=3, descent=DESCENT, points=9, rows=4, columns=3, reach=1.5, draws=100
)
NAMES = ["straight", "bent", "polygon", "bezier", "elastic_band", "star"]
PAIRS = {name: [(0, 1), (1, 2)] for name in NAMES} | {"star": [(0, 1), (0, 2), (1, 2)]}


@pytest.fixture(scope="module")
def toy_run():
    """The context, the results of all tasks, and the tables. Made once: nothing below changes them."""
    torch.set_num_threads(1)
    context = toy.context_of(3)
    return context, *toy.performed(context, STUDY)


def solution(results, member):
    return unpack(results.read(f"train/member/{member}/epoch/6").files["checkpoints"], member)[-1]


def chosen(context, split, count):
    rows = torch.randperm(len(context.splits[split]), generator=generator(context.setup.seed, "examples", split))
    rows = rows[:count].sort().values
    return context.scaling(context.splits[split].inputs[rows]), context.splits[split].targets[rows]


def logits(context, weights, member, inputs):
    """By a network that is loaded and whose statistics are computed anew from the whole training set."""
    module = context.build()
    load_into(module, weights, member)
    # all 64 in another order than the study's, which the statistics do not feel
    refresh_statistics(module, [context.scaling(context.splits["train"].inputs)])
    with torch.no_grad():
        return module.eval()(inputs)


def test_there_is_every_table_that_the_schemas_describe(toy_run):
    _, _, tables = toy_run
    assert {name: table.schema for name, table in tables.items()} == CONNECTING
    assert [row["status"] for row in tables["members"].rows()] == ["done"] * 3
    found = [(row["connector"], (row["first"], row["second"])) for row in tables["connectors"].rows()]
    assert found == [(name, pair) for name in NAMES for pair in PAIRS[name]]


def test_profiles_equal_networks_loaded_one_by_one(toy_run):
    context, results, tables = toy_run
    inputs, targets = chosen(context, "test", 40)
    train_inputs, train_targets = chosen(context, "train", 30)
    train, scaling = context.splits["train"], context.scaling
    ends = ends_of([solution(results, 1), solution(results, 2)])
    problem = Problem(
        context.build(), train, scaling, DESCENT, context.setup.seed, ("connector", "bezier", "ends", 1, 2)
    )
    path = fitted(Bezier(), ends, problem).path(0)
    own = [r for r in tables["profiles"].rows() if (r["connector"], r["first"], r["second"]) == ("bezier", 1, 2)]
    assert [row["t"] for row in own] == [place / 8 for place in range(9)]
    first, second = (logits(context, ends, end, inputs) for end in (0, 1))
    for row in own:
        member = path.at(torch.tensor([row["t"]], dtype=torch.float64))
        found, trained = logits(context, member, 0, inputs), logits(context, member, 0, train_inputs)
        assert row["nll"] == pytest.approx(float(torch.nn.functional.cross_entropy(found, targets)), rel=1e-4)
        assert row["train_nll"] == pytest.approx(
            float(torch.nn.functional.cross_entropy(trained, train_targets)), rel=1e-4
        )
        assert row["accuracy"] == pytest.approx(float((found.argmax(1) == targets).double().mean()))
        for name, end in (("first", first), ("second", second)):
            apart = float((found.argmax(1) != end.argmax(1)).double().mean())
            assert row[f"disagreement_{name}"] == pytest.approx(apart)
            if row["accuracy"] < 1:
                assert row[f"normalised_{name}"] == pytest.approx(apart / (1 - row["accuracy"]))
    assert own[0]["disagreement_first"] == own[-1]["disagreement_second"] == 0
    assert own[0]["jensen_shannon_first"] == own[-1]["jensen_shannon_second"] == 0


def test_the_table_of_paths_follows_from_the_profiles(toy_run):
    _, _, tables = toy_run
    for row in tables["connectors"].rows():
        place = (row["connector"], row["first"], row["second"])
        own = [r for r in tables["profiles"].rows() if (r["connector"], r["first"], r["second"]) == place]
        for kind, name in (("train_nll", "train_barrier"), ("nll", "barrier")):
            line = [(1 - r["t"]) * own[0][kind] + r["t"] * own[-1][kind] for r in own]
            assert row[name] == pytest.approx(max(r[kind] - base for r, base in zip(own, line, strict=True)), abs=1e-9)
        lowest = min(own, key=lambda r: r["accuracy"])
        assert (row["lowest_accuracy"], row["lowest_at"]) == pytest.approx((lowest["accuracy"], lowest["t"]))
        assert row["ends_accuracy"] == pytest.approx((own[0]["accuracy"] + own[-1]["accuracy"]) / 2)
        assert row["middle_disagreement"] == pytest.approx(
            (own[4]["disagreement_first"] + own[4]["disagreement_second"]) / 2
        )
        assert row["ends_disagreement"] == pytest.approx(own[-1]["disagreement_first"])
        assert row["ratio"] == pytest.approx(1.0) if row["connector"] == "straight" else row["ratio"] > 1


def test_triangles_hold_the_path_and_lie_edge_to_edge(toy_run):
    context, results, tables = toy_run
    inputs, targets = chosen(context, "test", 40)
    rows = tables["triangles"].rows()
    assert {(r["connector"], r["first"], r["second"]) for r in rows} == {("bent", 0, 1)}
    assert len(rows) == 4 * 4 * 3 * 7
    at = {(r["piece"], r["u"], r["v"], r["quantity"]): r for r in rows}
    controls = results.read("connect/bent/ends/0-1").files["controls"]
    stored = unpack(controls, 0)
    order = [0, 2, 3, 4, 1]
    norms = [float(torch.cat([t[i].flatten() for t in stored.params.values()]).norm()) for i in order]
    ends = [logits(context, stored, end, inputs).argmax(1) for end in (0, 1)]
    for piece in range(4):
        for u, control in ((0.0, order[piece]), (1.0, order[piece + 1])):
            own = logits(context, stored, control, inputs).argmax(1)
            assert at[piece, u, 1.0, "accuracy"]["value"] == pytest.approx(float((own == targets).double().mean()))
            for name, end in zip(("first", "second"), ends, strict=True):
                agreement = float((own == end).double().mean())
                assert at[piece, u, 1.0, f"agreement_{name}"]["value"] == pytest.approx(agreement)
            place = at[piece, u, 1.0, "accuracy"]
            assert math.hypot(place["x"], place["y"]) == pytest.approx(norms[order.index(control)], rel=1e-5)
        if piece:
            before, after = at[piece - 1, 1.0, 1.5, "nll"], at[piece, 0.0, 1.5, "nll"]
            assert (before["x"], before["y"]) == pytest.approx((after["x"], after["y"]))
            assert before["value"] == pytest.approx(after["value"], rel=1e-5)
    assert at[0, 0.0, 1.0, "nll"]["y"] == pytest.approx(0.0)
    # true lengths within a triangle: the middle of a piece lies in the middle
    half = [(at[1, 0.0, 1.0, "nll"][axis] + at[1, 1.0, 1.0, "nll"][axis]) / 2 for axis in "xy"]
    assert [at[1, 0.5, 1.0, "nll"][axis] for axis in "xy"] == pytest.approx(half)


def test_answers_say_what_the_tables_say(toy_run):
    _, _, tables = toy_run
    rows = {row["quantity"]: row for row in tables["answers"].rows()}
    paths = tables["connectors"].rows()
    for name in NAMES:
        own = [row for row in paths if row["connector"] == name]
        barriers = [row["train_barrier"] for row in own]
        answer = rows[f"train_barrier_{name}"]
        assert (answer["value"], answer["least"], answer["most"], answer["count"]) == pytest.approx(
            (np.mean(barriers), min(barriers), max(barriers), len(own))
        )
        drop = rows[f"accuracy_drop_{name}"]
        assert drop["value"] == pytest.approx(np.mean([r["ends_accuracy"] - r["lowest_accuracy"] for r in own]))
        assert drop["low"] <= drop["value"] <= drop["high"]
    lead = tables["answers"].rows()[0]
    assert lead["quantity"].startswith("accuracy_drop_") and "straight" not in lead["quantity"]
    assert "40 test examples" in lead["sentence"]


def test_done_twice_gives_the_same_bytes(toy_run):
    context, results, _ = toy_run
    tasks = {task.name: task for task in STUDY.tasks(context.setup, toy.sizes_of(context))}
    names = [
        "connect/elastic_band/ends/1-2",
        "connect/star/ends/0-1-2",
        "profile/star/pair/0-2",
        "triangles/bent/pair/0-1",
    ]
    for name in names:
        again = toy.together(context, results, [tasks[name]])[name]
        assert again.facts == results.read(name).facts
        for file, tensors in results.read(name).files.items():
            assert all(
                torch.equal(t.nan_to_num(-7.0), again.files[file][n].nan_to_num(-7.0)) for n, t in tensors.items()
            )


def test_a_member_that_fails_takes_only_its_own_paths(monkeypatch):
    monkeypatch.setattr("modescape.core.training.work.train", toy.failing({2}))
    context = toy.context_of(3)
    study = Connectors(names=("straight",), examples=20, train_examples=20, points=3, draws=100)
    _, tables = toy.performed(context, study)
    assert [(row["first"], row["second"]) for row in tables["connectors"].rows()] == [(0, 1)]
    assert [row["status"] for row in tables["members"].rows()] == ["done", "done", "failed"]
    assert len(tables["triangles"]) == 0


def test_without_any_path_the_study_says_why(monkeypatch):
    monkeypatch.setattr("modescape.core.training.work.train", toy.failing({1}))
    context = toy.context_of(2)
    study = Connectors(names=("straight",), examples=20, train_examples=20, points=3, draws=100)
    results = perform(study.tasks(context.setup, toy.sizes_of(context)), context)
    with pytest.raises(MemberFailed, match=r"no path was found.*member 1 diverged on purpose"):
        study.tables(context.setup, results)


def told(quantity, connector, value, **more):
    rest = {"low": None, "high": None, "least": value, "most": value, "count": 2}
    return {"of": quantity, "connector": connector, "value": value, **rest, **more}


def numbers(drop=0.01, ends=0.9, middle=0.2):
    made = []
    for name, lost, barrier in (("straight", 0.6, 2.0), ("bezier", drop, 0.1), ("polygon", 0.3, 0.2)):
        values = {"accuracy_ends": ends, "accuracy_lowest": ends - lost, "accuracy_drop": lost}
        values |= {"disagreement_middle": middle, "disagreement_ends": 0.25, "train_barrier": barrier}
        values |= {"train_highest": barrier, "train_mean": barrier, "length_ratio": 1.2}
        made += [told(quantity, name, value) for quantity, value in values.items()]
    return made


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({}, "Solutions are joined by paths of low loss, though not by straight ones: along the Bezier curve"),
        ({"drop": 0.05}, "Solutions are joined only nearly"),
        ({"drop": 0.3}, "No path of low loss was found between solutions"),
        ({"ends": 0.12}, "of trained ones this says nothing"),
    ],
)
def test_the_first_sentence_follows_the_numbers(how, words):
    assert words in answers(numbers(**how), "100 test", 10).rows()[0]["sentence"]


@pytest.mark.parametrize(
    ("middle", "words"), [(0.2, "passes through other functions"), (0.15, "one end's function becomes the other's")]
)
def test_the_second_sentence_is_about_functions(middle, words):
    assert words in answers(numbers(middle=middle), "100 test", 10).rows()[1]["sentence"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"names": ("tunnel",)}, "there is no connector 'tunnel'; choose from straight"),
        ({"names": ()}, "names is empty"),
        ({"points": 4}, "points must be odd"),
        ({"pairs": 0}, "pairs must be at least 1"),
        ({"ends": 1}, "ends must be at least 2"),
        ({"reach": 0.5}, "reach must be finite and at least 1"),
        ({"draws": 10}, "draws must be at least 100"),
        ({"examples": 0}, "examples must be at least 1"),
    ],
)
def test_impossible_settings_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        Connectors(**settings)


def test_it_needs_two_members_and_a_split_that_is_there():
    context = toy.context_of(1)
    with pytest.raises(ValueError, match=r"training\.members must be at least 2"):
        Connectors().tasks(context.setup, toy.sizes_of(context))
    context = toy.context_of(2)
    with pytest.raises(ValueError, match="there is no split 'nowhere'"):
        Connectors(split="nowhere").tasks(context.setup, toy.sizes_of(context))
