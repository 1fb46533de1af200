"""The study ``shift`` end to end on a toy problem, against ensembles made again by obvious loops."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from references import toy
from references.in_memory import perform
from sklearn.metrics import roc_auc_score

from modescape.core.splits import Split
from modescape.core.weights import load_into
from modescape.studies.abstract import Extra
from modescape.studies.members import unpack
from modescape.studies.setup import MethodChoice
from modescape.studies.shift import Shift
from modescape.tables import SHIFT

pytestmark = pytest.mark.study

MEMBERS = 4
STUDY = Shift(draws=100, subsets=10, severities=(1, 4), solutions=(1, 3))


def toy_with_shifts(names=("independent", "late_checkpoints", "swag")):
    """The toy, two families of two severities, data of the same kind, and inputs far from all classes."""
    context = toy.context_of(MEMBERS, normalised=False)
    test, splits = context.splits["test"], dict(context.splits)
    for severity in (1, 4):
        noise = torch.randn(test.inputs.shape, generator=torch.Generator().manual_seed(severity))
        splits[f"shift/noise/{severity}"] = Split(test.inputs + 0.5 * severity * noise, test.targets)
        splits[f"shift/drift/{severity}"] = Split(test.inputs + 0.4 * severity, test.targets)
    splits["natural/newer"] = toy.blobs(40, 9)
    far = 3 * torch.randn(50, 2, 1, generator=torch.Generator().manual_seed(7)) - 3
    splits["unknown/far"] = Split(far, torch.zeros(50, dtype=torch.int64))
    setup = replace(context.setup, methods=MethodChoice(names=names, samples=3))
    sizes = replace(
        toy.sizes_of(context),
        families=("noise", "drift"),
        others=("natural/newer", "unknown/far"),
        extra=lambda name: Extra(len(splits[name]), f"made for {name}", name),
    )
    return replace(context, setup=setup, splits=splits), sizes


@pytest.fixture(scope="module")
def toy_run():
    """The context, the results of all tasks, and the tables. Made once: nothing below changes them."""
    torch.set_num_threads(1)
    context, sizes = toy_with_shifts()
    results = perform(STUDY.tasks(context.setup, sizes), context)
    return context, results, STUDY.tables(context.setup, results)


def one(table, **wanted):
    (row,) = [row for row in table.rows() if all(row[name] == value for name, value in wanted.items())]
    return row


def probabilities(context, results, method, origin, split):
    """[member, example, class] of a method's members around one solution, through the plain network."""
    if method == "independent":
        found = results.read(f"train/member/{origin}/epoch/6").files["checkpoints"]
        weights = unpack(found, origin)[-1]
    else:
        weights = unpack(results.read(f"draw/method/{method}/member/{origin}").files["members"], origin)
    rows = []
    for member in range(len(weights)):
        module = context.build().eval()
        load_into(module, weights, member)
        with torch.no_grad():
            rows.append(module(context.scaling(context.splits[split].inputs)).double().softmax(dim=-1).numpy())
    return np.stack(rows)


def ensembles(context, results, method, split, size):
    """(mean probabilities, mean entropy of members) of every subset of so many solutions."""
    own = [probabilities(context, results, method, origin, split) for origin in range(MEMBERS)]
    for subset in itertools.combinations(own, size):
        entropies = [(-(m * np.log(m)).sum(axis=2)).mean(axis=0) for m in subset]
        yield sum(m.mean(axis=0) for m in subset) / size, sum(entropies) / size


def entropy(mean):
    return -(mean * np.log(mean)).sum(axis=1)


@pytest.mark.parametrize(("method", "samples"), [("independent", 1), ("swag", 3)])
@pytest.mark.parametrize("split", ["test", "shift/noise/4", "natural/newer"])
def test_scores_on_every_split_are_those_of_ensembles_made_by_loops(toy_run, method, samples, split):
    context, results, tables = toy_run
    targets = context.splits[split].targets.numpy()
    for size in (1, 3):
        right, apart = [], []
        for mean, within in ensembles(context, results, method, split, size):
            right.append((mean.argmax(axis=1) == targets).mean())
            apart.append((entropy(mean) - within).mean())
        wanted = {"method": method, "samples": samples, "solutions": size, "split": split}
        for score, values in (("accuracy", right), ("jensen_shannon", apart)):
            row = one(tables["scores"], score=score, **wanted)
            assert row["value"] == pytest.approx(np.mean(values), abs=1e-6)
            assert (row["least"], row["most"]) == pytest.approx((min(values), max(values)), abs=1e-6)
            assert row["subsets"] == len(values) == 4
            assert row["low"] <= row["value"] <= row["high"]


def test_detection_is_that_of_scikit_learn(toy_run):
    context, results, tables = toy_run
    for size in (1, 3):
        known = ensembles(context, results, "swag", "test", size)
        unknown = ensembles(context, results, "swag", "unknown/far", size)
        areas = {"entropy": [], "maximum_probability": [], "epistemic": []}
        for (near, near_within), (far, far_within) in zip(known, unknown, strict=True):
            which = np.r_[np.zeros(len(near)), np.ones(len(far))]
            values = {
                "entropy": np.r_[entropy(near), entropy(far)],
                "maximum_probability": -np.r_[near.max(axis=1), far.max(axis=1)],
                "epistemic": np.r_[entropy(near) - near_within, entropy(far) - far_within],
            }
            for name, value in values.items():
                areas[name].append(roc_auc_score(which, value))
        for name, found in areas.items():
            row = one(
                tables["detection"], method="swag", samples=3, solutions=size, detector=name, score="auroc",
                split="unknown/far",
            )  # fmt: skip
            # Epistemic parts of 1e-5 nats are differences of entropies that were kept to seven digits.
            assert row["value"] == pytest.approx(np.mean(found), abs=1e-3 if name == "epistemic" else 1e-9)


def test_severities_are_means_over_families_and_zero_is_the_test_split(toy_run):
    _, _, tables = toy_run
    assert {row["severity"] for row in tables["severities"].rows()} == {0, 1, 4}
    wanted = {"method": "swag", "samples": 3, "solutions": 3, "score": "brier"}
    values = [one(tables["scores"], split=f"shift/{family}/4", **wanted)["value"] for family in ("noise", "drift")]
    row = one(tables["severities"], severity=4, **wanted)
    assert row["value"] == pytest.approx(np.mean(values))
    assert (row["least"], row["most"]) == (min(values), max(values))
    clean = one(tables["severities"], severity=0, **wanted)
    assert clean["value"] == one(tables["scores"], split="test", **wanted)["value"]


def test_tables_are_those_that_are_announced_and_name_every_source(toy_run):
    _, _, tables = toy_run
    assert tables.keys() == SHIFT.keys()
    assert all(tables[name].schema == SHIFT[name] for name in tables)
    assert one(tables["shifts"], split="unknown/far") == {
        "split": "unknown/far", "examples": 50, "source": "made for unknown/far",
    }  # fmt: skip
    of_unknown = {row["score"] for row in tables["scores"].rows() if row["split"] == "unknown/far"}
    assert of_unknown == {"entropy", "aleatoric", "jensen_shannon", "pairwise_kl", "disagreement"}


def test_few_examples_are_the_same_ones_under_every_shift():
    context, sizes = toy_with_shifts(names=("independent",))
    few = replace(STUDY, examples=30, others=())
    results = perform(few.tasks(context.setup, sizes), context)
    tables = few.tables(context.setup, results)
    assert {row["examples"] for row in tables["shifts"].rows()} == {30}
    still = dict(context.splits)
    still["shift/noise/1"] = still["test"]
    again = few.tables(context.setup, perform(few.tasks(context.setup, sizes), replace(context, splits=still)))
    rows = [
        one(again["scores"], method="independent", solutions=3, samples=1, score="nll", split=split)
        for split in ("test", "shift/noise/1")
    ]
    assert rows[0]["value"] == pytest.approx(rows[1]["value"], abs=1e-7)
    assert rows[0]["high"] == pytest.approx(rows[1]["high"], abs=1e-7)


def test_another_digest_is_another_task():
    context, sizes = toy_with_shifts(names=("independent",))
    other = replace(sizes, extra=lambda name: Extra(90, "elsewhere", "other values"))
    first, second = (
        {task.name: task.arguments for task in STUDY.tasks(context.setup, given)} for given in (sizes, other)
    )
    assert first["measure/split/shift/noise/1"] != second["measure/split/shift/noise/1"]
    assert first["predict/method/independent/test"] == second["predict/method/independent/test"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"severities": (0, 1)}, "severities must be among 1, 2, 3, 4, 5"),
        ({"examples": 1}, "examples must be at least 2"),
        ({"solutions": ()}, "numbers of networks"),
        ({"draws": 3}, "at least 100"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Shift(**settings)


def test_data_without_any_shift_is_refused():
    context = toy.context_of(MEMBERS)
    with pytest.raises(ValueError, match="no shift and no other data"):
        STUDY.tasks(context.setup, toy.sizes_of(context))
