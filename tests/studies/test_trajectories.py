"""The study ``trajectories`` end to end on a toy problem, every table against plain arithmetic on the raw weights."""

import math
from functools import partial

import numpy as np
import pytest
import torch
from references import slow
from references.in_memory import perform
from torch import nn

from modescape.core.engine.engine import Engine
from modescape.core.engine.events import Finished
from modescape.core.engine.way import Room
from modescape.core.splits import Split, scaling_of
from modescape.core.training.loop import train
from modescape.core.training.plan import initial_state
from modescape.core.training.settings import Checkpoints, Optimiser, Training
from modescape.errors import MemberFailed
from modescape.studies.abstract import Context, Job, Sizes
from modescape.studies.members import losses, segments, train_members, trajectory, unpack
from modescape.studies.setup import DataChoice, NetworkChoice, Setup
from modescape.studies.trajectories import Trajectories
from modescape.tables import TRAJECTORIES

CLASSES, MEMBERS, EPOCHS = 3, 3, 6
STUDY = Trajectories(perplexities=(3.0,), seeds=2, draws=200)


def blobs(examples, seed):
    """Three overlapping clouds in the plane, laid out as signals of two channels."""
    chance = torch.Generator().manual_seed(seed)
    targets = torch.randint(0, CLASSES, (examples,), generator=chance)
    centres = torch.tensor([[0.0, 0.0], [1.5, 0.0], [0.0, 1.5]])
    return Split((centres[targets] + torch.randn(examples, 2, generator=chance))[..., None], targets)


def build(normalised=True):
    norm = nn.BatchNorm1d(8) if normalised else nn.Identity()
    return nn.Sequential(nn.Flatten(), nn.Linear(2, 8), norm, nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, CLASSES))


def context_of(normalised=True, **training):
    splits = {"train": blobs(64, 0), "test": blobs(90, 1)}
    wanted = {"members": MEMBERS, "epochs": EPOCHS, "batch": 16, "save_every": 4, "optimiser": Optimiser(rate=0.03)}
    setup = Setup(
        data=DataChoice(name="toy"), network=NetworkChoice(factory="toy:build"), training=Training(**wanted | training)
    )
    return Context(
        setup,
        splits,
        scaling_of("standard", splits["train"].inputs),
        CLASSES,
        partial(build, normalised),
        Engine(room=Room(2)),
    )


def sizes_of(context):
    return Sizes({name: len(split) for name, split in context.splits.items()}, context.setup.training.batch)


def performed(context, study=STUDY):
    results = perform(study.tasks(context.setup, sizes_of(context)), context)
    return results, study.tables(context.setup, results)


@pytest.fixture(scope="module")
def toy():
    """The context, the results of all tasks, and the tables. Made once: nothing below changes them."""
    torch.set_num_threads(1)
    context = context_of()
    return context, *performed(context)


@pytest.fixture(scope="module")
def raw(toy):
    """Every checkpoint in the order of the tables: member, checkpoint, step, the state of the network, its logits."""
    context, results, _ = toy
    split = context.splits["test"]
    inputs = (split.inputs - context.scaling.shift[:, None]) * context.scaling.factor[:, None]
    rows = []
    for member in range(MEMBERS):
        parts = [results.read(name) for name in segments(context.setup, member)]
        states = [
            {name.split(".", 1)[1]: t[i] for name, t in part.files["checkpoints"].items()}
            for part in parts
            for i in range(len(part.facts["steps"]))
        ]
        steps = [step for part in parts for step in part.facts["steps"]]
        for checkpoint, (step, state) in enumerate(zip(steps, states, strict=True)):
            network = build()
            network.load_state_dict(state)
            with torch.no_grad():
                logits = torch.stack([network.eval()(example[None])[0] for example in inputs])
            rows.append({"member": member, "checkpoint": checkpoint, "step": step, "state": state, "logits": logits})
    return rows


def vector(state, without=()):
    """All weights and biases as one vector; running statistics are none."""
    return torch.cat([t.flatten() for n, t in state.items() if "running" not in n and "num_" not in n
                      and n not in without]).double().numpy()  # fmt: skip


def answer(tables, quantity):
    return next(row for row in tables["answers"].rows() if row["quantity"] == quantity)


def test_there_is_every_table_that_the_schemas_describe(toy):
    _, _, tables = toy
    assert {name: table.schema for name, table in tables.items()} == TRAJECTORIES


def test_members_are_done_and_trained_as_they_would_be_alone(toy, raw):
    context, _, tables = toy
    assert tables["members"].rows() == [
        {"member": m, "status": "done", "step": 4 * EPOCHS, "reason": ""} for m in range(MEMBERS)
    ]
    plan = context.plan
    for member in range(MEMBERS):
        *_, last = _whole(train(plan, member, initial_state(plan, member), EPOCHS)).checkpoints
        state = [row for row in raw if row["member"] == member][-1]["state"]
        assert all(torch.equal(state[n], t[0]) for n, t in {**last.params, **last.buffers}.items())


def _whole(work):
    while True:
        try:
            next(work)
        except StopIteration as stop:
            return stop.value


def test_the_networks_learn_something(toy):
    _, _, tables = toy
    last = tables["checkpoints"]["checkpoint"] == EPOCHS
    assert tables["checkpoints"]["accuracy"][last].min() > 0.55
    assert answer(tables, "accuracy_ensemble")["value"] > 0.55


def test_checkpoints_are_scored_as_by_hand(toy, raw):
    context, _, tables = toy
    targets = context.splits["test"].targets.tolist()
    rows = tables["checkpoints"].rows()
    assert [(r["member"], r["checkpoint"], r["step"]) for r in rows] == [
        (r["member"], r["checkpoint"], r["step"]) for r in raw
    ]
    assert [r["checkpoint"] for r in rows] == list(range(EPOCHS + 1)) * MEMBERS
    for row, found in zip(rows, raw, strict=True):
        assert row["epoch"] == found["step"] / 4
        right = [int(logits.argmax()) == t for logits, t in zip(found["logits"], targets, strict=True)]
        assert row["accuracy"] == pytest.approx(sum(right) / len(right), abs=1e-15)
        # float32 logits of one example at a time: sums of eight products in another order
        assert row["nll"] == pytest.approx(slow.nll(found["logits"].double().tolist(), targets), abs=1e-5)
        assert row["norm"] == pytest.approx(np.linalg.norm(vector(found["state"])), rel=1e-12)
        assert math.isnan(row["training_loss"]) == (row["checkpoint"] == 0)


def test_training_losses_are_means_since_the_checkpoint_before(toy):
    _, _, tables = toy
    finer = context_of(checkpoints=Checkpoints(every=1, unit="step"))
    plan = finer.plan
    steps = _whole(train(plan, 1, initial_state(plan, 1), EPOCHS)).losses[1:]
    found = tables["checkpoints"]["training_loss"][tables["checkpoints"]["member"] == 1][1:]
    # the same additions of doubles, divided by four in another place
    assert found.tolist() == pytest.approx([sum(steps[4 * e : 4 * e + 4]) / 4 for e in range(EPOCHS)], rel=1e-12)


def test_pairs_are_all_pairs_as_by_hand(toy, raw):
    _, _, tables = toy
    classes = [[int(c) for c in row["logits"].argmax(-1)] for row in raw]
    different = slow.disagreement(classes)
    alike = slow.cosine([vector(row["state"]) for row in raw])
    norms = {"2.weight", "2.bias"}
    plain = slow.cosine([vector(row["state"], without=norms) for row in raw])
    rows = tables["pairs"].rows()
    assert len(rows) == len(raw) * (len(raw) - 1) // 2
    place = {(row["member"], row["checkpoint"]): i for i, row in enumerate(raw)}
    seen = set()
    for row in rows:
        i, j = place[row["member_a"], row["checkpoint_a"]], place[row["member_b"], row["checkpoint_b"]]
        assert i < j
        seen.add((i, j))
        assert row["disagreement"] == pytest.approx(different[i, j], abs=1e-15)
        # float64 sums of some sixty products in another order
        assert row["similarity"] == pytest.approx(alike[i, j], abs=1e-13)
        assert row["similarity_without_norm"] == pytest.approx(plain[i, j], abs=1e-13)
    assert len(seen) == len(rows)
    assert abs(alike - plain).max() > 0.01


def test_embeddings_are_the_predictions_of_every_checkpoint(toy, raw):
    from sklearn.decomposition import PCA

    _, _, tables = toy
    points = tables["embedding"].rows()
    quality = tables["embedding_quality"].rows()
    assert [(q["method"], q["seed"]) for q in quality] == [("tsne", 0), ("tsne", 1), ("pca", 0)]
    assert [q["perplexity"] for q in quality[:2]] == [3.0, 3.0]
    assert math.isnan(quality[2]["perplexity"])
    for row in quality:
        of = [p for p in points if (p["method"], p["seed"]) == (row["method"], row["seed"])]
        assert [(p["member"], p["checkpoint"]) for p in of] == [(r["member"], r["checkpoint"]) for r in raw]
        places, labels = [(p["x"], p["y"]) for p in of], [p["member"] for p in of]
        assert row["purity"] == pytest.approx(slow.purity(places, labels), abs=1e-15)
        # seven checkpoints each, of which the last four are the second half
        late = [i for i, p in enumerate(of) if p["checkpoint"] >= 3]
        expected = slow.purity([places[i] for i in late], [labels[i] for i in late])
        assert row["purity_second_half"] == pytest.approx(expected, abs=1e-15)
        assert math.isnan(row["divergence"]) == (row["method"] == "pca")
        assert math.isnan(row["explained"]) == (row["method"] == "tsne")
    assert quality[0]["divergence"] > 0
    probabilities = np.stack([row["logits"].double().softmax(-1).flatten().numpy() for row in raw])
    library = PCA(2, svd_solver="full").fit(probabilities)
    # float32 predictions of one example at a time
    assert quality[2]["explained"] == pytest.approx(library.explained_variance_ratio_.sum(), abs=1e-5)
    mine = np.array([(p["x"], p["y"]) for p in points if p["method"] == "pca"])
    theirs = library.transform(probabilities)
    assert np.allclose(mine, theirs * np.sign((mine * theirs).sum(0)), atol=1e-4)


def test_the_answers_follow_from_the_tables(toy, raw):
    context, _, tables = toy
    targets = context.splits["test"].targets.numpy()
    solutions = [[r for r in raw if r["member"] == m][-1] for m in range(MEMBERS)]
    starts = [next(r for r in raw if r["member"] == m) for m in range(MEMBERS)]
    final = np.stack([r["logits"].argmax(-1).numpy() for r in solutions])
    first = np.stack([r["logits"].argmax(-1).numpy() for r in starts])
    pairs = [(0, 1), (0, 2), (1, 2)]
    between = [(final[a] != final[b]).mean() for a, b in pairs]
    # 24 steps, so the last quarter holds the checkpoint after 24 alone, and the last two are taken
    within = []
    for m in range(MEMBERS):
        late = [r["logits"].argmax(-1).numpy() for r in raw if r["member"] == m][-2:]
        within.append((late[0] != late[1]).mean())
    wrong = (final != targets).mean(axis=1)
    ratios = [d / e for d, (a, b) in zip(between, pairs, strict=True) for e in (wrong[a], wrong[b])]
    mean = slow.nested_mean([r["logits"].double().tolist() for r in solutions], [0, 1, 2])
    ensemble = (mean.argmax(axis=1) == targets).mean()
    alike = slow.cosine([vector(r["state"]) for r in [*starts, *solutions]])
    expected = {
        "disagreement_ratio": ([np.mean(between) / np.mean(within)], 1),
        "disagreement_between": (between, 3),
        "disagreement_within": (within, 3),
        "normalised_disagreement": (ratios, 6),
        "similarity_between": ([alike[3 + a, 3 + b] for a, b in pairs], 3),
        "accuracy_member": (1 - wrong, 3),
        "accuracy_ensemble": ([ensemble], 1),
        "ensemble_gain": ([ensemble - (1 - wrong).mean()], 1),
        "disagreement_start_end": ((first != final).mean(axis=1), 3),
        "similarity_start_end": ([alike[m, 3 + m] for m in range(MEMBERS)], 3),
    }
    for quantity, (values, count) in expected.items():
        row = answer(tables, quantity)
        assert row["value"] == pytest.approx(np.mean(values), abs=1e-12), quantity
        assert row["count"] == count, quantity
        if count > 1:
            assert row["least"] == pytest.approx(np.min(values), abs=1e-12), quantity
            assert row["most"] == pytest.approx(np.max(values), abs=1e-12), quantity
        if "similarity" not in quantity:
            assert row["low"] <= row["value"] <= row["high"], quantity
        assert row["sentence"], quantity
    quality = [q["purity_second_half"] for q in tables["embedding_quality"].rows() if q["method"] == "tsne"]
    assert answer(tables, "purity_second_half")["value"] == pytest.approx(np.mean(quality))
    assert "similarity_between_without_norm" in tables["answers"]["quantity"]


def test_the_whole_study_repeats_itself(toy):
    context, _, tables = toy
    _, again = performed(context)
    for name, table in tables.items():
        for column, values in table.columns.items():
            assert np.array_equal(values, again[name][column], equal_nan=values.dtype.kind == "f"), (name, column)


def test_where_training_is_cut_changes_no_number(toy):
    _, _, tables = toy
    _, whole = performed(context_of(save_every=EPOCHS))
    for name in ("checkpoints", "pairs", "embedding"):
        for column, values in tables[name].columns.items():
            assert np.array_equal(values, whole[name][column], equal_nan=values.dtype.kind == "f"), (name, column)


def test_a_network_without_normalisation_has_one_similarity():
    _, tables = performed(context_of(normalised=False, epochs=2))
    assert np.array_equal(tables["pairs"]["similarity"], tables["pairs"]["similarity_without_norm"])
    assert "similarity_between_without_norm" not in tables["answers"]["quantity"]


def failing(members):
    """``train`` as it is, but for members that fail in their sixth epoch."""

    def wrapped(plan, member, start, epochs, mode):
        if member in members and start.epoch + epochs == EPOCHS:
            raise MemberFailed(f"member {member} diverged on purpose", step=21)
        return (yield from train(plan, member, start, epochs, mode))

    return wrapped


def test_a_member_that_fails_changes_nothing_of_the_others(toy, monkeypatch):
    context, _, tables = toy
    monkeypatch.setattr("modescape.core.training.work.train", failing({1}))
    results, found = performed(context)
    assert results.read("predict/member/1/test") is None
    assert found["members"].rows()[1] == {
        "member": 1, "status": "failed", "step": 21, "reason": "member 1 diverged on purpose",
    }  # fmt: skip
    assert found["members"]["status"].tolist() == ["done", "failed", "done"]
    checkpoints, pairs = tables["checkpoints"], tables["pairs"]
    left = checkpoints["member"] != 1
    for column in checkpoints.schema.names:
        expected = checkpoints[column][left]
        assert np.array_equal(found["checkpoints"][column], expected, equal_nan=True), column
    left = (pairs["member_a"] != 1) & (pairs["member_b"] != 1)
    for column in pairs.schema.names:
        # another number of rows in a product of matrices may round the last bit otherwise
        assert np.allclose(found["pairs"][column], pairs[column][left], atol=1e-14, rtol=0), column
    assert sorted(set(found["embedding"]["member"].tolist())) == [0, 2]
    assert answer(found, "disagreement_between")["count"] == 1
    assert "one pair" in answer(found, "disagreement_between")["sentence"]


def test_one_member_left_is_no_study(toy, monkeypatch):
    context, _, _ = toy
    monkeypatch.setattr("modescape.core.training.work.train", failing({0, 2}))
    results = perform(STUDY.tasks(context.setup, sizes_of(context)), context)
    with pytest.raises(MemberFailed, match=r"1 of 3 members .*takes two.*member 0 diverged on purpose"):
        STUDY.tables(context.setup, results)


def test_divergence_is_a_failure_that_names_member_and_step():
    context = context_of(optimiser=Optimiser(name="sgd", rate=1e30))
    results = perform(STUDY.tasks(context.setup, sizes_of(context)), context)
    for member in range(MEMBERS):
        failure = results.failure(f"train/member/{member}/epoch/6")
        assert failure["step"] >= 1
        assert f"member {member} diverged" in failure["reason"]
    with pytest.raises(MemberFailed, match="0 of 3 members"):
        STUDY.tables(context.setup, results)


def test_tasks_performed_together_give_what_each_gives_alone(toy):
    context, results, _ = toy
    jobs = [Job({"member": m, "epochs": 4, "from": 0}, {}) for m in range(MEMBERS)]
    events = [event for event in train_members(context, jobs) if isinstance(event, Finished)]
    assert sorted(event.index for event in events) == [0, 1, 2]
    for event in events:
        alone = results.read(f"train/member/{event.index}/epoch/4")
        assert event.result.facts == alone.facts
        for group, tensors in alone.files.items():
            assert all(torch.equal(event.result.files[group][n], t) for n, t in tensors.items())


def test_segments_join_into_one_trajectory(toy, raw):
    context, results, _ = toy
    parts = [results.read(name) for name in segments(context.setup, 2)]
    whole = trajectory(parts, 2)
    assert whole.steps == (0, 4, 8, 12, 16, 20, 24)
    assert whole.seed_path == "member/2"
    assert set(whole.weights.origin) == {2}
    last = [row for row in raw if row["member"] == 2][-1]["state"]
    assert all(torch.equal(whole.solution.params[n][0], last[n]) for n in whole.weights.params)
    assert set(whole.weights.buffers) == {"2.running_mean", "2.running_var", "2.num_batches_tracked"}
    assert len(losses(parts)) == len(whole)
    assert parts[0].passing == {"state", "optimiser"}
    again = unpack(parts[0].files["state"], 2)
    assert torch.equal(again.params["1.weight"], whole.weights[4].params["1.weight"])


def test_a_picture_that_a_failed_member_left_too_small_is_left_out_and_the_rest_stands(monkeypatch):
    # 16 fits the 21 checkpoints of three members, not the 14 of two
    study = Trajectories(perplexities=(3.0, 16.0), seeds=1, draws=200)
    monkeypatch.setattr("modescape.core.training.work.train", failing({1}))
    _, tables = performed(context_of(), study)
    assert [row["perplexity"] for row in tables["embedding_quality"].rows() if row["method"] == "tsne"] == [3.0]
    assert tables["answers"].rows()[0]["value"] > 0
