"""The study ``ensembling`` end to end on a toy problem, against ensembles made again by obvious loops."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from references import redrawn, slow, toy
from references.in_memory import perform
from sklearn.metrics import brier_score_loss, log_loss

from modescape.core.engine.events import Finished
from modescape.core.methods.scoring import Judge
from modescape.core.methods.summary import pooled
from modescape.core.scores.size_curve import forecast
from modescape.core.training.plan import initial_state
from modescape.core.training.settings import Schedule
from modescape.core.training.work import Leg, Trainings
from modescape.core.weights import load_into
from modescape.studies.ensembling import Ensembling
from modescape.studies.members import unpack
from modescape.studies.predicting import summaries_in
from modescape.studies.setup import MethodChoice
from modescape.studies.variants import Variant
from modescape.tables import ENSEMBLING

pytestmark = pytest.mark.study

MEMBERS, SAMPLES = 5, 3
NAMES = ("independent", "late_checkpoints", "snapshot", "bootstrap", "swag", "weight_average")
STUDY = Ensembling(draws=100, subsets=4)


def context_with(names=NAMES, normalised=False, **choice):
    context = toy.context_of(MEMBERS, normalised=normalised)
    given = {"names": names, "samples": SAMPLES, "cycles": 3, "trained": 3} | choice
    return replace(context, setup=replace(context.setup, methods=MethodChoice(**given)))


@pytest.fixture(scope="module")
def toy_run():
    """The context, the results of all tasks, and the tables. Made once: nothing below changes them."""
    torch.set_num_threads(1)
    context = context_with()
    return context, *toy.performed(context, STUDY)


def one(table, **wanted):
    (row,) = [row for row in table.rows() if all(row[name] == value for name, value in wanted.items())]
    return row


def score(tables, method, solutions, samples, name):
    return one(tables["scores"], method=method, solutions=solutions, samples=samples, score=name)


def probabilities(context, weights):
    """[member, example, class] of a stack, one member after another through the plain network."""
    split, found = context.splits["test"], []
    for member in range(len(weights)):
        module = context.build().eval()
        load_into(module, weights, member)
        with torch.no_grad():
            found.append(module(context.scaling(split.inputs)).double().softmax(dim=-1).numpy())
    return np.stack(found)


def last_checkpoint(results, prefix, member):
    return unpack(results.read(f"train/{prefix}member/{member}/epoch/6").files["checkpoints"], member)[-1]


def members_again(results, method, origin):
    """The weights of a method's members around one solution."""
    if method in ("independent", "bootstrap"):
        return last_checkpoint(results, "" if method == "independent" else "bootstrap/", origin)
    return unpack(results.read(f"draw/method/{method}/member/{origin}").files["members"], origin)


@pytest.mark.parametrize(
    ("method", "networks", "samples"),
    [("independent", 5, 1), ("bootstrap", 3, 1), ("swag", 5, 3), ("swag", 5, 2), ("weight_average", 5, 1)],
)
def test_scores_are_those_of_ensembles_made_by_loops(toy_run, method, networks, samples):
    context, results, tables = toy_run
    targets = context.splits["test"].targets.numpy()
    own = [probabilities(context, members_again(results, method, o))[:samples] for o in range(networks)]
    for size in (1, networks):
        wanted = {"accuracy": [], "nll": [], "brier": [], "jensen_shannon": [], "disagreement": []}
        for subset in itertools.combinations(range(networks), size):
            if size == 1 and networks == 5 and subset[0] not in (sampled(tables, method, samples, networks)):
                continue
            members = [own[o] for o in subset]
            mean = sum(m.mean(axis=0) for m in members) / size
            within = [(-(m * np.log(m)).sum(axis=2)).mean(axis=0) for m in members]
            wanted["accuracy"].append((mean.argmax(axis=1) == targets).mean())
            wanted["nll"].append(log_loss(targets, mean, labels=[0, 1, 2]))
            wanted["brier"].append(brier_score_loss(targets, mean, labels=[0, 1, 2], scale_by_half=False))
            wanted["jensen_shannon"].append((-(mean * np.log(mean)).sum(axis=1) - sum(within) / size).mean())
            flat = np.concatenate(members)
            if len(flat) > 1:
                wanted["disagreement"].append(slow.pairwise_per_example(flat.argmax(axis=2)).mean())
        for name, values in wanted.items():
            if values:
                row = score(tables, method, size, samples, name)
                assert row["value"] == pytest.approx(np.mean(values), abs=1e-6), (name, size)
                assert row["least"] == pytest.approx(min(values), abs=1e-6)
                assert row["most"] == pytest.approx(max(values), abs=1e-6)
                assert row["subsets"] == len(values)
                assert row["low"] <= row["value"] <= row["high"]


def sampled(tables, method, samples, networks):
    """The solutions that stand for all of size 1, where there are more of them than ``subsets``."""
    from modescape.core.methods.scoring import subsets

    return [subset[0] for subset in subsets(list(range(networks)), 1, STUDY.subsets, root=0)]


def test_tables_are_those_that_are_announced(toy_run):
    _, _, tables = toy_run
    assert tables.keys() == ENSEMBLING.keys()
    assert all(tables[name].schema == ENSEMBLING[name] for name in tables)
    counts = {row["samples"] for row in tables["scores"].rows() if row["method"] == "swag"}
    assert counts == {1, 2, 3}
    assert {row["samples"] for row in tables["scores"].rows() if row["method"] == "late_checkpoints"} == {2, 3}
    assert {r["solutions"] for r in tables["scores"].rows() if r["method"] == "bootstrap"} == {1, 2, 3}


def test_the_verdict_names_the_least_calibrated_loss_that_its_budget_allows(toy_run):
    _, _, tables = toy_run
    scores = [row for row in tables["scores"].rows() if row["score"] == "calibrated_nll"]
    for verdict in tables["verdicts"].rows():
        cost = {"training": lambda r: r["solutions"], "inference": lambda r: r["solutions"] * r["samples"]}
        allowed = [row for row in scores if cost[verdict["cost"]](row) <= verdict["budget"]]
        assert verdict["calibrated_nll"] == min(row["value"] for row in allowed)
        rival = one(
            tables["scores"], method=verdict["rival"], solutions=verdict["rival_solutions"],
            samples=verdict["rival_samples"], score="calibrated_nll",
        )  # fmt: skip
        assert verdict["difference"] == pytest.approx(verdict["calibrated_nll"] - rival["value"], abs=1e-12)
        assert verdict["decided"] == (verdict["high"] < 0 or verdict["low"] > 0)
    assert {row["budget"] for row in tables["verdicts"].rows()} == {1, 2, 5}
    assert tables["answers"].rows()[0]["quantity"] == "verdict_training_5"


def test_equivalents_of_independent_networks_are_their_numbers_where_the_curve_falls(toy_run):
    _, _, tables = toy_run
    rows = [row for row in tables["equivalents"].rows() if row["method"] == "independent"]
    losses = [row["calibrated_nll"] for row in rows]
    for place, row in enumerate(rows):
        if losses[place] < min(losses[:place], default=math.inf):
            assert row["equivalent"] == pytest.approx(place + 1)


def test_what_is_measured_twice_is_equal_and_costs_without_times_are_counts(toy_run):
    context, results, tables = toy_run
    again = perform(STUDY.tasks(context.setup, toy.sizes_of(context)), context)
    second = again.read("measure/ensembling/swag").files["samples_3"]["draws"]
    assert torch.equal(
        second.nan_to_num(), results.read("measure/ensembling/swag").files["samples_3"]["draws"].nan_to_num()
    )
    assert {row["relative"] for row in tables["costs"].rows()} == {1.0}
    assert one(tables["costs"], method="swag", samples=3)["parameters"] == 3 * 51


def test_snapshots_come_from_a_training_of_their_own_in_cycles(toy_run):
    _, results, _ = toy_run
    snapshot = last_checkpoint(results, "snapshot/", 0)
    assert not torch.equal(snapshot.params["1.weight"], last_checkpoint(results, "", 0).params["1.weight"])
    first = unpack(results.read("train/snapshot/member/0/epoch/4").files["checkpoints"], 0)[0]
    ordinary = unpack(results.read("train/member/0/epoch/4").files["checkpoints"], 0)[0]
    assert torch.equal(first.params["1.weight"], ordinary.params["1.weight"])


def test_a_network_that_fails_is_left_out(monkeypatch):
    context = context_with(names=("independent", "swag"))
    monkeypatch.setattr("modescape.core.training.work.train", toy.failing({1}))
    results, tables = toy.performed(context, STUDY)
    assert results.read("measure/ensembling/swag").facts["origins"] == [0, 2, 3, 4]
    assert {row["solutions"] for row in tables["scores"].rows()} == {1, 2, 3, 4}
    assert one(tables["members"], member=1)["status"] == "failed"


def test_with_batch_norm_every_member_gets_statistics_of_its_own():
    context = context_with(names=("independent", "swag"), normalised=True, samples=2)
    swag = context.setup.subspaces.swag
    still = replace(context.setup.subspaces, swag=replace(swag, scale=0.0))
    context = replace(context, setup=replace(context.setup, subspaces=still))
    results = perform(STUDY.tasks(context.setup, toy.sizes_of(context)), context)
    files = results.read("predict/method/swag/test").files
    torch.testing.assert_close(files["origin_0_first_1"]["log_mean"], files["origin_0_first_2"]["log_mean"])


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"names": ("swagg",)}, "there is no method 'swagg'"),
        ({"names": ("snapshot",), "cycles": 4}, "methods.cycles = 4 does not divide training.epochs = 6"),
        ({"names": ("laplace",)}, "optional library"),
    ],
)
def test_methods_that_cannot_be_are_refused_before_anything_is_trained(choice, message):
    context = context_with(**choice)
    with pytest.raises(ValueError, match=message):
        STUDY.tasks(context.setup, toy.sizes_of(context))


def test_a_method_needs_members_and_a_forecast_networks():
    with pytest.raises(ValueError, match="samples must be at least 1"):
        MethodChoice(samples=0)
    with pytest.raises(ValueError, match="names is empty"):
        MethodChoice(names=())
    with pytest.raises(ValueError, match="forecast_from must be 4 to 10"):
        Ensembling(forecast_from=2)


class _Timed:
    """Results of which every task took a second of training, and as much of drawing as is given."""

    def __init__(self, results, drawing):
        self.results, self.drawing = results, drawing

    def seconds(self, task):
        return 1.0 if task.startswith("train/") else self.drawing if task.startswith("draw/") else 0.25

    def __getattr__(self, name):
        return getattr(self.results, name)


def test_what_drawing_costs_leaves_a_method_fewer_networks_at_the_same_budget(toy_run):
    context, results, _ = toy_run
    # Two pieces of training a network: 2 seconds. Drawing for 1 second makes a solution cost 1.5 networks.
    tables = STUDY.tables(context.setup, _Timed(results, 1.0))
    row = one(tables["costs"], method="swag", samples=2)
    assert (row["training"], row["drawing"], row["relative"]) == (2.0, 1.0, 1.5)
    assert one(tables["costs"], method="bootstrap", samples=1)["relative"] == 1.0
    assert one(tables["costs"], method="late_checkpoints", samples=2)["drawing"] == 0.0
    predicting = [one(tables["costs"], method="swag", samples=count)["prediction"] for count in (1, 2, 3)]
    assert predicting == pytest.approx([0.25 / 15, 0.5 / 15, 0.75 / 15])
    for verdict in tables["verdicts"].rows():
        if verdict["cost"] == "training" and verdict["method"] in ("swag", "weight_average"):
            assert verdict["solutions"] * 1.5 <= verdict["budget"] * 1.1
    dear = STUDY.tables(context.setup, _Timed(results, 1000.0))["verdicts"].rows()
    assert {row["method"] for row in dear if row["cost"] == "training"} <= {
        "independent", "late_checkpoints", "snapshot", "bootstrap",
    }  # fmt: skip


def test_variants_change_what_they_say_and_nothing_else(toy_run):
    context, results, _ = toy_run
    ordinary = context.plan
    cyclical = Variant("snapshot", cycle=2).plan(ordinary)
    assert cyclical.training.schedule == Schedule(kind="cyclical", every=2)
    assert replace(cyclical.training, schedule=ordinary.training.schedule) == ordinary.training
    assert not cyclical.bootstrap and cyclical.root == ordinary.root
    resampled = Variant("bootstrap", bootstrap=True).plan(ordinary)
    assert resampled.bootstrap and resampled.training == ordinary.training
    for prefix, plan in (("snapshot/", cyclical), ("bootstrap/", resampled)):
        (done,) = [
            e
            for e in context.engine.run(Trainings(plan, [Leg(1, initial_state(plan, 1), 6)]))
            if isinstance(e, Finished)
        ]
        expected = done.result.end.weights.params["1.weight"]
        assert torch.equal(last_checkpoint(results, prefix, 1).params["1.weight"], expected)
        assert not torch.equal(last_checkpoint(results, "", 1).params["1.weight"], expected)


def test_with_batch_norm_independent_networks_are_predicted_with_fresh_statistics():
    context = context_with(names=("independent",), normalised=True)
    results = perform(STUDY.tasks(context.setup, toy.sizes_of(context)), context)
    found = results.read("predict/method/independent/test").files["origin_2_first_1"]["log_mean"]
    own = last_checkpoint(results, "", 2)
    fresh, stale = (
        torch.tensor(redrawn.logits(context, own, "test", stale=s)).log_softmax(dim=1) for s in (False, True)
    )
    torch.testing.assert_close(found.double(), fresh, rtol=0, atol=2e-5)
    assert (found - stale).abs().max() > 1e-3


def test_the_forecast_is_made_from_the_first_networks_and_its_interval_from_those_without_each(toy_run):
    context, results, tables = toy_run
    summaries = summaries_in(results.read("predict/method/independent/test"), torch.device("cpu"))
    targets = context.splits["test"].targets
    judge = Judge(targets, torch.ones(1, len(targets), dtype=torch.float64), context.setup.seed)

    def loss(origins):
        return float(judge.score([pooled([summaries[o][1] for o in origins])]).draws["calibrated_nll"][0])

    def curve(origins):
        sizes = range(1, len(origins) + 1)
        return [np.mean([loss(subset) for subset in itertools.combinations(origins, size)]) for size in sizes]

    at = torch.arange(1, 7).double()
    whole = forecast(at[:4], torch.tensor([curve(range(4))]), at)[0]
    without = torch.cat(
        [forecast(at[:3], torch.tensor([curve([o for o in range(4) if o != left])]), at) for left in range(4)]
    )
    draws = results.read("measure/forecast").files["curves"]["draws"][:, 0]
    over_examples = forecast(at[:4], draws.T[1:], at).var(dim=0)
    over_networks = 3 / 4 * (without - without.mean(dim=0)).square().sum(dim=0)
    for size in range(1, 7):
        row = one(tables["forecast"], score="calibrated_nll", solutions=size)
        assert row["value"] == pytest.approx(float(whole[size - 1]), abs=1e-9)
        half = 1.96 * math.sqrt(float(over_examples[size - 1] + over_networks[size - 1]))
        assert row["high"] - row["value"] == pytest.approx(half, rel=1e-6)
        assert row["gain"] == pytest.approx(row["value"] - curve(range(4))[-1], abs=1e-9)
        measured = score(tables, "independent", size, 1, "calibrated_nll")["value"] if size <= MEMBERS else math.nan
        assert row["measured"] == pytest.approx(measured, nan_ok=True)
        assert row["gain_measured"] == pytest.approx(measured - curve(range(4))[-1], nan_ok=True)
