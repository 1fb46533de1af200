"""The study ``disagreement``, on networks and on predictions alone, against obvious loops."""

import math
from dataclasses import replace
from itertools import combinations, permutations

import numpy as np
import pytest
import torch
from references import slow, slow_scores, toy
from references.in_memory import perform
from sklearn.metrics import log_loss

from modescape.core.engine.engine import Engine
from modescape.core.engine.way import Room
from modescape.core.splits import Split, scaling_of
from modescape.core.training.settings import Training
from modescape.studies.abstract import Context, Sizes, Unfit
from modescape.studies.catalogue import STUDIES
from modescape.studies.disagreement import Disagreement
from modescape.studies.ensembling import Ensembling
from modescape.studies.members import prediction_name
from modescape.studies.setup import DataChoice, MethodChoice, NetworkChoice, Setup
from modescape.tables import FUNCTIONS

pytestmark = pytest.mark.study

CLASSES = 3
STUDY = Disagreement(draws=100)


def predicted(logits, targets, classes_alone=False):
    """A context of predictions alone, and its sizes."""
    members = len(logits)
    network = NetworkChoice(predictions=tuple(f"{place}.npz" for place in range(members)))
    setup = Setup(data=DataChoice(name="labels.npz"), network=network, training=Training(members=members))
    split = Split(torch.empty(len(targets), 1, 0), targets)
    context = Context(
        setup, {"test": split}, scaling_of("raw", split.inputs), logits[0].shape[-1], torch.nn.Identity,
        Engine(room=Room(1)), predictions=list(logits),
    )  # fmt: skip
    digests = tuple(f"digest {place}" for place in range(members))
    return context, Sizes({"test": len(targets)}, 1, imported=digests, classes_alone=classes_alone)


def some(members=4, examples=60, seed=0):
    chance = torch.Generator().manual_seed(seed)
    targets = torch.randint(0, CLASSES, (examples,), generator=chance)
    own = 1.5 * torch.randn(members, examples, CLASSES, generator=chance, dtype=torch.float64)
    return own + 2 * torch.nn.functional.one_hot(targets, CLASSES), targets


def tables_of(context, sizes, study=STUDY):
    results = perform(study.planned(context.setup, sizes), context)
    return results, study.tables(context.setup, results)


def rows_of(logits):
    """Probabilities [member, example, class], row by row."""
    return np.array([[slow.softmax(row) for row in member] for member in logits.tolist()])


def one(table, **wanted):
    (row,) = [row for row in table.rows() if all(row[name] == value for name, value in wanted.items())]
    return row


def test_pairs_are_those_of_plain_loops():
    logits, targets = some()
    _, tables = tables_of(*predicted(logits, targets))
    assert tables.keys() == FUNCTIONS.keys()
    rows = rows_of(logits)
    classes, right = rows.argmax(axis=-1), targets.numpy()
    assert [(r["member_a"], r["member_b"]) for r in tables["pairs"].rows()] == list(combinations(range(4), 2))
    for row in tables["pairs"].rows():
        a, b = row["member_a"], row["member_b"]
        apart = np.mean(classes[a] != classes[b])
        assert row["disagreement"] == pytest.approx(apart)
        assert row["low"] <= apart <= row["high"]
        assert row["low"] < row["high"]
        assert row["normalised_a"] == pytest.approx(apart / np.mean(classes[a] != right))
        assert row["normalised_b"] == pytest.approx(apart / np.mean(classes[b] != right))
        assert row["both_wrong"] == pytest.approx(np.mean((classes[a] != right) & (classes[b] != right)))
        pairs = list(zip(rows[a], rows[b], strict=True))
        for name, function in (
            ("kl_ab", slow_scores.kl),
            ("kl_ba", lambda p, q: slow_scores.kl(q, p)),
            ("jensen_shannon", slow_scores.jensen_shannon),
            ("total_variation", lambda p, q: 0.5 * sum(abs(x - y) for x, y in zip(p, q, strict=True))),
        ):
            assert row[name] == pytest.approx(np.mean([function(p, q) for p, q in pairs]), rel=1e-6)


def test_scores_are_those_of_direct_formulas():
    logits, targets = some()
    _, tables = tables_of(*predicted(logits, targets))
    rows, right = rows_of(logits), targets.numpy()
    for network, own in [*enumerate(rows), ("ensemble", rows.mean(axis=0))]:
        found = {r["score"]: r["value"] for r in tables["networks"].rows() if r["network"] == str(network)}
        assert found["accuracy"] == pytest.approx(np.mean(own.argmax(axis=-1) == right))
        assert found["nll"] == pytest.approx(log_loss(right, own, labels=range(CLASSES)), rel=1e-6)
        brier = np.mean([slow_scores.brier(row, target) for row, target in zip(own, right, strict=True)])
        assert found["brier"] == pytest.approx(brier, rel=1e-6)


def test_every_network_is_a_base_of_the_plane():
    logits, targets = some()
    _, tables = tables_of(*predicted(logits, targets))
    pairs = {(r["member_a"], r["member_b"]): r for r in tables["pairs"].rows()}
    for base, member in permutations(range(4), 2):
        row = one(tables["plane"], kind="independent", origin=base, number=member)
        pair = pairs[min(base, member), max(base, member)]
        assert row["disagreement"] == pair["disagreement"]
        error = 1 - one(tables["networks"], network=str(member), score="accuracy")["value"]
        # Over the error rate of the one that is compared, not of the base.
        assert row["normalised_disagreement"] == pytest.approx(pair["disagreement"] / error)
        assert row["kl_from_base"] == pair["kl_ab" if base < member else "kl_ba"]
    for base in range(4):
        accuracy = one(tables["plane"], kind="base", origin=base)["accuracy"]
        for curve in ("lower", "upper"):
            mine = [r for r in tables["curves"].rows() if (r["curve"], r["origin"]) == (curve, base)]
            assert mine[0]["accuracy"] == pytest.approx(1 / CLASSES)
            assert mine[0]["normalised_disagreement"] == pytest.approx(1)
            assert mine[-1]["accuracy"] == pytest.approx(accuracy)


def test_the_map_keeps_distances_where_a_plane_can():
    logits, targets = some(members=3)
    _, tables = tables_of(*predicted(logits, targets))
    rows = logits.softmax(dim=-1).flatten(1)
    points = [one(tables["map"], method="pca", member=m) for m in range(3)]
    # Three points always lie in a plane.
    for a, b in combinations(range(3), 2):
        apart = math.dist(*[(points[m]["x"], points[m]["y"]) for m in (a, b)])
        assert apart == pytest.approx(float((rows[a] - rows[b]).norm()), rel=1e-6)
    _, two = tables_of(*predicted(*some(members=2)))
    assert len(two["map"]) == 0


def test_classes_alone_give_what_classes_can_tell():
    logits, targets = some()
    classes = torch.nn.functional.one_hot(logits.argmax(dim=-1), CLASSES).double()
    context, sizes = predicted(classes.clamp(min=1e-30).log(), targets, classes_alone=True)
    _, hard = tables_of(context, sizes)
    _, soft = tables_of(*predicted(logits, targets))
    for column in ("disagreement", "low", "high", "normalised_a", "normalised_b", "both_wrong"):
        np.testing.assert_array_equal(hard["pairs"][column], soft["pairs"][column])
    assert np.isnan(hard["pairs"]["jensen_shannon"]).all()
    scores = set(hard["networks"]["score"])
    assert "accuracy" in scores
    assert not scores & {"nll", "calibrated_nll", "brier", "calibration_error", "entropy", "jensen_shannon"}
    votes = classes.sum(dim=0).argmax(dim=-1)
    wanted = float((votes == targets).double().mean())
    assert one(hard["networks"], network="ensemble", score="accuracy")["value"] == pytest.approx(wanted)
    assert any("need probabilities" in sentence for sentence in hard["answers"]["sentence"])
    with pytest.raises(Unfit, match="classes alone"):
        Ensembling().planned(context.setup, sizes)


def test_one_member_has_scores_and_no_pairs():
    _, tables = tables_of(*predicted(*some(members=1)))
    assert len(tables["pairs"]) == len(tables["plane"]) == len(tables["map"]) == 0
    assert [row["quantity"] for row in tables["answers"].rows()] == ["accuracy_0"]


def test_members_without_an_error_have_no_normalised_disagreement():
    targets = torch.tensor([0, 1, 2, 0])
    perfect = 5 * torch.nn.functional.one_hot(targets, CLASSES).double()
    _, tables = tables_of(*predicted(torch.stack([perfect, perfect]), targets))
    assert np.isnan(tables["pairs"]["normalised_a"]).all()
    assert any("has no value" in sentence for sentence in tables["answers"]["sentence"])


def test_trained_networks_are_compared_as_their_predictions_are():
    """What was predicted by networks that were trained here, imported again, gives the same tables."""
    torch.set_num_threads(1)
    context = toy.context_of(3, normalised=False)
    results, trained = toy.performed(context, STUDY)
    logits = [results.read(prediction_name(m, "test")).files["predictions"]["logits"][-1] for m in range(3)]
    targets = context.splits["test"].targets
    _, again = tables_of(*predicted(logits, targets))
    for name in ("networks", "pairs", "plane", "curves", "map"):
        for column in trained[name].schema.names:
            np.testing.assert_array_equal(trained[name][column], again[name][column])
    setup = replace(context.setup, methods=MethodChoice(names=("independent",)))
    _, ensembles = toy.performed(replace(context, setup=setup), Ensembling(draws=100))
    _, imported = tables_of(*predicted(logits, targets), Ensembling(draws=100))
    for name in ("scores", "equivalents"):
        for column in ensembles[name].schema.names:
            if ensembles[name][column].dtype.kind == "f":
                # Summaries are made in another order of sums, and kept in seven digits.
                np.testing.assert_allclose(ensembles[name][column], imported[name][column], rtol=2e-5, atol=2e-6)
            else:
                np.testing.assert_array_equal(ensembles[name][column], imported[name][column])


def test_ensembles_of_predictions_are_those_of_direct_formulas():
    logits, targets = some(members=5)
    _, tables = tables_of(*predicted(logits, targets), Ensembling(draws=100, subsets=20))
    rows, right = rows_of(logits), targets.numpy()
    for size in range(1, 6):
        losses, hits = [], []
        for chosen in combinations(range(5), size):
            mean = rows[list(chosen)].mean(axis=0)
            losses.append(log_loss(right, mean, labels=range(CLASSES)))
            hits.append(np.mean(mean.argmax(axis=-1) == right))
        found = {r["score"]: r for r in tables["scores"].rows() if r["solutions"] == size}
        assert found["nll"]["value"] == pytest.approx(np.mean(losses), rel=1e-5)
        assert found["nll"]["least"] == pytest.approx(min(losses), rel=1e-5)
        assert found["accuracy"]["value"] == pytest.approx(np.mean(hits))
    assert len(tables["forecast"]) > 0
    assert tables["costs"]["relative"].tolist() == [1.0]


def test_what_needs_weights_says_so_in_a_line():
    context, sizes = predicted(*some())
    fit = []
    for name, kind in STUDIES.items():
        try:
            kind().planned(context.setup, sizes)
            fit.append(name)
        except Unfit as told:
            assert str(told) == "weights are needed, and network.predictions gives predictions alone"
    assert fit == ["disagreement", "ensembling"]
    with pytest.raises(ValueError, match=r"methods.names: swag needs weights"):
        setup = replace(context.setup, methods=MethodChoice(names=("independent", "swag")))
        Ensembling().planned(setup, sizes)
    with pytest.raises(ValueError, match=r"there is no split 'train'; choose test"):
        Disagreement(split="train").planned(context.setup, sizes)


def test_predictions_stand_alone():
    for more in ({"name": "mlp"}, {"factory": "a:b"}, {"name": "mlp", "weights": ("w.npz",)}):
        with pytest.raises(ValueError, match="predictions stand alone"):
            NetworkChoice(predictions=("a.npz",), **more)
    with pytest.raises(ValueError, match="kind says what is in the files of predictions"):
        NetworkChoice(name="mlp", kind="logits")
