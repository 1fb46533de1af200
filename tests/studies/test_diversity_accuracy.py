"""The study ``diversity_accuracy`` end to end on a toy problem, against members drawn again by obvious loops."""

import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from references import redrawn, slow, toy
from references.in_memory import perform
from torch import nn

from modescape.core.diversity.limits import fit_exponent
from modescape.core.engine.engine import Engine
from modescape.core.engine.way import Room
from modescape.core.models.resnet20 import resnet20
from modescape.core.scores.intervals import bootstrap_means
from modescape.core.seeds import generator
from modescape.core.splits import Split, scaling_of
from modescape.core.subspaces.keep import Keep
from modescape.core.subspaces.random_direction import RandomDirection
from modescape.core.subspaces.weight_dropout import WeightDropout
from modescape.core.weights import load_into
from modescape.errors import MemberFailed, SettingsError
from modescape.studies.diversity_accuracy import DiversityAccuracy, scales_up_to
from modescape.studies.members import scratch
from modescape.tables import DIVERSITY_ACCURACY

pytestmark = pytest.mark.study

MEMBERS, COUNT, ENSEMBLE = 4, 4, 3
NAMES = [
    "random_direction", "weight_dropout", "activation_dropout", "diagonal_gaussian",
    "low_rank_gaussian", "random_pca", "weight_average", "swag",
]  # fmt: skip
STUDY = DiversityAccuracy(bases=2, count=COUNT, ensemble=ENSEMBLE, late=4, tolerance=0.05, draws=100)
FEW = replace(STUDY, subspaces=("weight_dropout", "swag"))
ROUNDING = 1e-5
"""The networks predict in float32: logits of order 10 with errors of some 1e-6."""


@pytest.fixture(scope="module")
def toy_run():
    """The context, the results of all tasks, and the tables. Made once: nothing below changes them."""
    torch.set_num_threads(1)
    context = toy.context_of(MEMBERS)
    return context, *toy.performed(context, STUDY)


def chosen(table, **wanted):
    return [row for row in table.rows() if all(row[name] == value for name, value in wanted.items())]


def path_logits(results, member):
    return results.read(f"predict/fresh/member/{member}/test").files["predictions"]["logits"].double().numpy()


def scores(logits, base, targets):
    """Everything that a row of the plane says of one network, example by example."""
    rows = list(zip(logits.tolist(), base.tolist(), targets, strict=True))
    classes = [(max(range(3), key=row.__getitem__), max(range(3), key=of.__getitem__)) for row, of, _ in rows]
    error = sum(c != t for (c, _), t in zip(classes, targets, strict=True)) / len(rows)
    apart = sum(a != b for a, b in classes) / len(rows)
    return {
        "accuracy": 1 - error,
        "disagreement": apart,
        "normalised_disagreement": apart / error,
        "nll": slow.nll(logits.tolist(), targets),
        "kl_from_base": np.mean([slow.kullback_leibler(of, row) for row, of, _ in rows]),
        "kl_to_base": np.mean([slow.kullback_leibler(row, of) for row, of, _ in rows]),
        "jensen_shannon": np.mean([slow.jensen_shannon([row, of]) for row, of, _ in rows]),
        "total_variation": np.mean([slow.total_variation(row, of) for row, of, _ in rows]),
    }


def agree(row, expected):
    for name, value in expected.items():
        assert row[name] == pytest.approx(value, rel=ROUNDING, abs=ROUNDING), (row["kind"], row["number"], name)


def test_there_is_every_table_that_the_schemas_describe(toy_run):
    _, _, tables = toy_run
    assert {name: table.schema for name, table in tables.items()} == DIVERSITY_ACCURACY
    assert set(tables["plane"]["kind"].tolist()) == {"base", "trajectory", "independent", *NAMES}
    assert [(row["member"], row["status"]) for row in tables["members"].rows()] == [(m, "done") for m in range(MEMBERS)]


@pytest.mark.parametrize("name", NAMES)
def test_a_cloud_is_what_its_members_are_when_they_are_drawn_again(toy_run, name):
    context, results, tables = toy_run
    largest = context.setup.subspace(name).plane_scale
    scales = [largest * share for share in (1 / 16, 4 / 16, 9 / 16, 1)]
    targets = context.splits["test"].targets.tolist()
    for base in (0, 1):
        rows = chosen(tables["plane"], kind=name, origin=base)
        assert [row["number"] for row in rows] == list(range(COUNT))
        assert [row["scale"] for row in rows] == pytest.approx(scales, rel=1e-12)
        again = redrawn.members(context, results, name, base, "plane", [row["scale"] for row in rows])
        for row, member in zip(rows, again, strict=True):
            logits = redrawn.logits(context, member, "test")
            agree(row, scores(logits, path_logits(results, base)[-1], targets))
        assert rows[-1]["total_variation"] > 1e-3, "a cloud that never moves shows nothing"


def test_scales_end_at_the_largest():
    assert scales_up_to(7.0, 1) == [7.0]
    assert scales_up_to(50.0, 5) == pytest.approx([2, 8, 18, 32, 50])
    assert scales_up_to(0.0, 2) == [0.0, 0.0]


def test_the_base_stands_on_its_own_plane(toy_run):
    context, results, tables = toy_run
    targets = context.splits["test"].targets.tolist()
    for base in (0, 1):
        (row,) = chosen(tables["plane"], kind="base", origin=base)
        solution = path_logits(results, base)[-1]
        agree(row, scores(solution, solution, targets))
        assert row["number"] == base
        assert math.isnan(row["scale"])
    assert len(tables["plane"]) == 2 * (1 + len(NAMES) * COUNT + 3 + MEMBERS - 1)


def test_other_solutions_and_late_checkpoints_stand_beside_it(toy_run):
    context, results, tables = toy_run
    targets = context.splits["test"].targets.tolist()
    for base in (0, 1):
        others = chosen(tables["plane"], kind="independent", origin=base)
        assert [row["number"] for row in others] == [m for m in range(MEMBERS) if m != base]
        own = path_logits(results, base)
        for row in others:
            agree(row, scores(path_logits(results, row["number"])[-1], own[-1], targets))
        late = chosen(tables["plane"], kind="trajectory", origin=base)
        # seven checkpoints, of which the last four are late and the very last is the base
        assert [row["number"] for row in late] == [3, 4, 5]
        for row in late:
            agree(row, scores(own[row["number"]], own[-1], targets))
        assert all(math.isnan(row["scale"]) for row in [*others, *late])


def test_curves_lead_from_chance_to_the_base(toy_run):
    _, _, tables = toy_run
    for base in (0, 1):
        (point,) = chosen(tables["plane"], kind="base", origin=base)
        for curve, end in (("lower", 0.0), ("upper", None)):
            rows = chosen(tables["curves"], curve=curve, origin=base)
            assert (rows[0]["accuracy"], rows[0]["normalised_disagreement"]) == pytest.approx((1 / 3, 1))
            assert rows[-1]["accuracy"] == pytest.approx(point["accuracy"])
            assert (rows[-1]["normalised_disagreement"] == pytest.approx(0)) == (end == 0.0)
        for row in chosen(tables["exponents"], origin=base):
            fitted = chosen(tables["curves"], curve=row["subspace"], origin=base)
            assert fitted[0]["accuracy"] == pytest.approx(point["accuracy"], abs=0.1)
            # all labels of the base flipped: the right ones are wrong, of the wrong ones half are right
            assert fitted[-1]["accuracy"] == pytest.approx((1 - point["accuracy"]) / 2)


def test_exponents_are_those_of_the_clouds(toy_run):
    _, _, tables = toy_run
    rows = tables["exponents"].rows()
    assert [(row["origin"], row["subspace"]) for row in rows] == [(base, name) for base in (0, 1) for name in NAMES]
    for row in rows:
        cloud = chosen(tables["plane"], kind=row["subspace"], origin=row["origin"])
        (base,) = chosen(tables["plane"], kind="base", origin=row["origin"])
        columns = [torch.tensor([r[c] for r in cloud], dtype=torch.float64) for c in ("accuracy", "disagreement")]
        expected = fit_exponent(*columns, torch.tensor(base["accuracy"], dtype=torch.float64), 3)
        assert row["exponent"] == pytest.approx(float(expected), rel=1e-6, nan_ok=True)
        assert row["count"] == COUNT
        assert math.isnan(row["exponent"]) or row["low"] <= row["high"]


def spread(members, targets):
    """Jensen-Shannon divergence of every example, and the accuracy of the mean of probabilities."""
    each = list(zip(*(logits.tolist() for logits in members), strict=True))
    mean = slow.nested_mean([logits.tolist() for logits in members], range(len(members)))
    return [slow.jensen_shannon(rows) for rows in each], float((mean.argmax(axis=1) == targets).mean())


def ensemble_agrees(row, members, targets):
    divergence, accuracy = spread(members, targets)
    assert row["jensen_shannon"] == pytest.approx(np.mean(divergence), abs=ROUNDING), row["kind"]
    assert row["accuracy"] == pytest.approx(accuracy, abs=1e-12), row["kind"]
    values = torch.tensor([divergence], dtype=torch.float64)
    drawn = bootstrap_means(values, STUDY.draws, generator(0, "bootstrap", "diversity_accuracy", "examples"))
    low, high = np.quantile(drawn.numpy(), [0.025, 0.975])
    assert (row["low"], row["high"]) == pytest.approx((low, high), abs=ROUNDING), row["kind"]


def test_ensembles_have_the_divergence_of_members_drawn_again(toy_run):
    context, results, tables = toy_run
    targets = context.splits["test"].targets.numpy()
    for name in NAMES:
        for base in (0, 1):
            (row,) = chosen(tables["ensembles"], kind=name, origin=base)
            assert (row["asked"], row["tried"], row["kept"]) == (ENSEMBLE, ENSEMBLE, ENSEMBLE)
            again = redrawn.members(context, results, name, base, "ensemble", [None] * ENSEMBLE)
            ensemble_agrees(row, [redrawn.logits(context, member, "test") for member in again], targets)


def test_ensembles_of_solutions_and_of_late_checkpoints_stand_beside_them(toy_run):
    context, results, tables = toy_run
    targets = context.splits["test"].targets.numpy()
    for base in (0, 1):
        (row,) = chosen(tables["ensembles"], kind="independent", origin=base)
        # the base and those that follow it
        ensemble_agrees(row, [path_logits(results, base + place)[-1] for place in range(ENSEMBLE)], targets)
        (row,) = chosen(tables["ensembles"], kind="trajectory", origin=base)
        # three of the four from 3 to 6, evenly: the first, the third (the middle is rounded to even), the last
        ensemble_agrees(row, [path_logits(results, base)[place] for place in (3, 5, 6)], targets)
        assert (row["asked"], row["kept"]) == (ENSEMBLE, ENSEMBLE)


def test_the_answers_follow_from_the_plane(toy_run):
    """Every pair of a base and another solution by itself; the base counts as a sample that never disagrees."""
    _, _, tables = toy_run
    told = {name: [] for name in ("gap", "sample_of_equal_accuracy", "dominated")}
    told |= {name: [] for name in ("independent_normalised_disagreement", "accuracy_independent")}
    bases = {"accuracy_base": [], "sample_near_base": []}
    for base in (0, 1):
        (own,) = chosen(tables["plane"], kind="base", origin=base)
        samples = [row for name in NAMES for row in chosen(tables["plane"], kind=name, origin=base)]
        for other in chosen(tables["plane"], kind="independent", origin=base):
            reached = max(row["accuracy"] for row in [own, *samples])
            enough = min(other["accuracy"], reached) - STUDY.tolerance
            equal = [row["normalised_disagreement"] for row in samples if row["accuracy"] >= enough]
            best, level = max([0.0, *equal]), other["normalised_disagreement"]
            told["gap"].append(level - best)
            told["sample_of_equal_accuracy"].append(best)
            told["independent_normalised_disagreement"].append(level)
            told["accuracy_independent"].append(other["accuracy"])
            better = [row for row in samples if row["accuracy"] >= other["accuracy"]]
            told["dominated"].append(float(any(row["normalised_disagreement"] >= level for row in better)))
        near = [row for row in samples if abs(row["accuracy"] - own["accuracy"]) <= STUDY.tolerance]
        bases["sample_near_base"].append(max([0.0, *(row["normalised_disagreement"] for row in near)]))
        bases["accuracy_base"].append(own["accuracy"])
    answers = {row["quantity"]: row for row in tables["answers"].rows()}
    for name, values in {**told, **bases}.items():
        row = answers[name]
        assert row["value"] == pytest.approx(np.mean(values), abs=1e-9), name
        assert (row["least"], row["most"]) == pytest.approx((min(values), max(values)), abs=1e-9), name
        assert row["count"] == len(values), name
        assert row["low"] <= row["high"], name
    for kind in (*NAMES, "independent", "trajectory"):
        found = [row["jensen_shannon"] for row in chosen(tables["ensembles"], kind=kind)]
        assert answers[f"divergence_{kind}"]["value"] == pytest.approx(np.mean(found)), kind
    assert all(row["sentence"].endswith(".") for row in answers.values())


def test_members_that_score_too_low_are_drawn_anew():
    context = toy.context_of(2, validation=40, random_direction=RandomDirection(scale=30.0))
    # scores are whole fortieths, of which none is the threshold
    study = replace(STUDY, subspaces=("random_direction",), keep=Keep(least=0.51, tries=4))
    results, tables = toy.performed(context, study)
    targets = {split: context.splits[split].targets.numpy() for split in ("validation", "test")}
    turned_away = 0
    for base in (0, 1):
        kept, tried = [], 0
        for member in redrawn.members(context, results, "random_direction", base, "ensemble", [None] * 4 * ENSEMBLE):
            tried += 1
            classes = redrawn.logits(context, member, "validation").argmax(axis=1)
            if (classes == targets["validation"]).mean() >= 0.51:
                kept.append(redrawn.logits(context, member, "test"))
            if len(kept) == ENSEMBLE:
                break
        (row,) = chosen(tables["ensembles"], kind="random_direction", origin=base)
        assert (row["asked"], row["tried"], row["kept"]) == (ENSEMBLE, tried, len(kept))
        ensemble_agrees(row, kept, targets["test"])
        turned_away += tried - len(kept)
        assert len(chosen(tables["plane"], kind="random_direction", origin=base)) == COUNT
    assert turned_away > 0


def test_a_threshold_that_nobody_reaches_is_told_with_subspace_and_member():
    context = toy.context_of(2, validation=40)
    study = replace(STUDY, subspaces=("random_direction",), keep=Keep(least=1.0, tries=1))
    with pytest.raises(SettingsError, match=r"subspace random_direction around member 0: none of 3 .*keep.least = 1.0"):
        toy.performed(context, study)


def images(examples, seed):
    """Three classes of noisy images with another mean each."""
    chance = torch.Generator().manual_seed(seed)
    targets = torch.randint(0, 3, (examples,), generator=chance)
    return Split(targets[:, None, None, None] + torch.randn(examples, 1, 8, 8, generator=chance), targets)


def test_a_network_with_batch_norm_gets_statistics_anew_for_every_drawn_member():
    context = toy.context_of(2, random_direction=RandomDirection(scale=2.0, plane_scale=2.0))
    splits = {"train": images(48, 0), "test": images(40, 1)}
    network = partial(resnet20, (1, 8, 8), 3, blocks=1, width=4)
    scaling = scaling_of("standard", splits["train"].inputs)
    context = replace(context, splits=splits, scaling=scaling, build=network)
    study = replace(STUDY, subspaces=("random_direction",), bases=1)
    results, tables = toy.performed(context, study)
    rows = chosen(tables["plane"], kind="random_direction")
    again = redrawn.members(context, results, "random_direction", 0, "plane", [row["scale"] for row in rows])
    base, targets = path_logits(results, 0)[-1], splits["test"].targets.tolist()
    far = []
    for row, member in zip(rows, again, strict=True):
        found = {}
        for fresh in (False, True):
            module = scratch(context)
            load_into(module, member, 0)
            if fresh:
                for layer in module.modules():
                    if isinstance(layer, nn.BatchNorm2d):
                        layer.reset_running_stats()
                        layer.momentum = 1.0
                module.train()(context.scaling(splits["train"].inputs))
            with torch.no_grad():
                logits = torch.cat([module.eval()(context.scaling(one[None])) for one in splits["test"].inputs])
            found[fresh] = scores(logits.double().numpy(), base, targets)
        agree(row, found[True])
        far.append(abs(row["nll"] - found[False]["nll"]))
    assert min(far) > 0.01


@pytest.mark.parametrize("cores", [1, 3])
def test_the_number_of_cores_changes_no_number(toy_run, cores):
    context, results, _ = toy_run
    tasks = [task for task in STUDY.tasks(context.setup, toy.sizes_of(context)) if task.phase == "draw"]
    for kind in ("draw/plane", "draw/ensemble"):
        room = replace(context, engine=Engine(room=Room(cores)))
        found = toy.together(room, results, [t for t in tasks if t.name.startswith(kind)])
        for task, result in found.items():
            before = results.read(task)
            assert result.facts == before.facts
            for group, tensors in before.files.items():
                for name, tensor in tensors.items():
                    assert torch.equal(result.files[group][name], tensor), (task, name)


def assert_same_rows(found, expected):
    assert len(found) == len(expected) > 0
    for row, other in zip(found, expected, strict=True):
        assert row == pytest.approx(other, nan_ok=True)


def test_a_base_that_failed_is_left_out_and_the_others_stay_as_they_are(toy_run, monkeypatch):
    context, _, tables = toy_run
    monkeypatch.setattr("modescape.core.training.work.train", toy.failing({1}))
    results, found = toy.performed(context, FEW)
    assert results.read("draw/plane/swag/member/1") is None
    assert [row["status"] for row in found["members"].rows()] == ["done", "failed", "done", "done"]
    assert found["members"].rows()[1]["step"] == 21
    for name in ("plane", "exponents", "curves", "ensembles"):
        assert set(found[name]["origin"].tolist()) == {0}, name
    assert [row["number"] for row in chosen(found["plane"], kind="independent")] == [2, 3]
    for kind in ("base", "trajectory", "weight_dropout", "swag"):
        assert_same_rows(chosen(found["plane"], kind=kind), chosen(tables["plane"], kind=kind, origin=0))
    answers = {row["quantity"]: row for row in found["answers"].rows()}
    assert (answers["gap"]["count"], answers["accuracy_base"]["count"]) == (2, 1)
    assert "one base" in answers["accuracy_base"]["sentence"]
    assert chosen(found["ensembles"], kind="independent")[0]["kept"] == 3


def test_another_solution_that_failed_is_compared_with_nobody(toy_run, monkeypatch):
    context, _, tables = toy_run
    monkeypatch.setattr("modescape.core.training.work.train", toy.failing({2}))
    _, found = toy.performed(context, FEW)
    kept = {"base", "trajectory", "independent", "weight_dropout", "swag"}
    rows = [row for row in tables["plane"].rows() if row["kind"] in kept]
    assert_same_rows(found["plane"].rows(), [r for r in rows if (r["kind"], r["number"]) != ("independent", 2)])


def test_without_a_base_there_is_no_study(monkeypatch):
    context = toy.context_of(4)
    monkeypatch.setattr("modescape.core.training.work.train", toy.failing({0, 1}))
    study = replace(STUDY, subspaces=("weight_dropout",))
    with pytest.raises(
        MemberFailed, match=r"none of the base solutions \[0, 1\] .*member 0 diverged on purpose"
    ) as told:
        toy.performed(context, study)
    assert told.value.exit_code == 4


def test_one_member_left_is_no_study(toy_run, monkeypatch):
    context, _, _ = toy_run
    monkeypatch.setattr("modescape.core.training.work.train", toy.failing({0, 1, 2}))
    results = perform(FEW.tasks(context.setup, toy.sizes_of(context)), context)
    with pytest.raises(MemberFailed, match=r"1 of 4 members .*takes two.*member 0 diverged on purpose"):
        FEW.tables(context.setup, results)


def test_a_cloud_that_never_leaves_its_base_has_no_exponent():
    still = {"weight_dropout": WeightDropout(scale=0.0, plane_scale=0.0)}
    _, tables = toy.performed(
        toy.context_of(2, normalised=False, **still), replace(STUDY, subspaces=("weight_dropout",))
    )
    assert all(row["disagreement"] == 0 for row in chosen(tables["plane"], kind="weight_dropout"))
    assert all(math.isnan(row["exponent"]) for row in tables["exponents"].rows())
    assert set(tables["curves"]["curve"].tolist()) == {"lower", "upper"}
    answers = {row["quantity"]: row for row in tables["answers"].rows()}
    assert answers["exponent_weight_dropout"]["count"] == 0
    assert "has no exponent" in answers["exponent_weight_dropout"]["sentence"]
    for row in chosen(tables["ensembles"], kind="independent"):
        assert (row["asked"], row["tried"], row["kept"]) == (ENSEMBLE, 2, 2)
    assert answers["gap"]["value"] == answers["independent_normalised_disagreement"]["value"]
