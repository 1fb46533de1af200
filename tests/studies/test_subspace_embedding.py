"""The study ``subspace_embedding`` end to end on a toy problem, against members drawn again and distances by loops."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from references import redrawn, slow, toy
from references.in_memory import perform

from modescape.core.engine.engine import Engine
from modescape.core.engine.events import Finished
from modescape.core.engine.way import Room
from modescape.core.seeds import generator
from modescape.core.subspaces.keep import Keep
from modescape.core.subspaces.random_direction import RandomDirection
from modescape.errors import MemberFailed
from modescape.studies.abstract import Job, Result
from modescape.studies.subspace_embedding import SubspaceEmbedding, reduce_drawn
from modescape.studies.subspace_embedding_words import answers
from modescape.tables import SUBSPACES

pytestmark = pytest.mark.study

NAMES = ["activation_dropout", "swag"]
COUNT, EXAMPLES, POINTS = 4, 40, 3 * (toy.CHECKPOINTS + 4)
STUDY = SubspaceEmbedding(
    examples=EXAMPLES, subspaces=tuple(NAMES), trajectories=3, count=COUNT, perplexities=(5.0, 2.5), seeds=2
)
PICTURES = [("tsne", 0, 5.0), ("tsne", 1, 5.0), ("tsne", 0, 2.5), ("tsne", 1, 2.5), ("pca", 0, None), ("mds", 0, None)]
PICTURES += [("mds", 1, None)]
FEW = SubspaceEmbedding(
    examples=EXAMPLES, subspaces=("swag",), trajectories=3, count=COUNT, perplexities=(5.0,), seeds=1
)


@pytest.fixture(scope="module")
def toy_run():
    """The context, the results of all tasks, and the tables. Made once: nothing below changes them."""
    torch.set_num_threads(1)
    context = toy.context_of(4)
    return context, *toy.performed(context, STUDY)


def examples_of(context, count):
    """The choice that the root seed fixes."""
    everything = torch.randperm(90, generator=generator(context.setup.seed, "examples", "test"))
    return sorted(everything.tolist()[:count])


def softmax(logits):
    return np.array([slow.softmax(row) for row in logits.tolist()])


def points_of(context, results, name, members, rows, count=COUNT):
    """All predictions as one vector a network, and for each its member and whether it was drawn."""
    points, labels = [], []
    for member in members:
        path = results.read(f"predict/fresh/member/{member}/test").files["predictions"]["logits"]
        for logits in path.double().numpy():
            points.append(softmax(logits[rows]).ravel())
            labels.append((member, False))
        for drawn in redrawn.members(context, results, name, member, "embedding", [None] * count):
            points.append(softmax(redrawn.logits(context, drawn, "test")[rows]).ravel())
            labels.append((member, True))
    return np.array(points), labels


def stays(points, labels, chosen):
    """Fraction of the chosen whose nearest other point is of the same member."""
    nearest = [min((math.dist(a, b), j) for j, b in enumerate(points) if j != i)[1] for i, a in enumerate(points)]
    return np.mean([labels[nearest[i]][0] == labels[i][0] for i in chosen])


def test_there_is_every_table_that_the_schemas_describe(toy_run):
    _, _, tables = toy_run
    assert {name: table.schema for name, table in tables.items()} == SUBSPACES
    assert [row["status"] for row in tables["members"].rows()] == ["done"] * 4


def test_every_picture_holds_every_checkpoint_and_every_drawn_member(toy_run):
    _, _, tables = toy_run
    rows = tables["embedding"].rows()
    kinds = [(name, *picture) for name in NAMES for picture in PICTURES]
    assert len(rows) == len(kinds) * POINTS
    places = [(m, flag, n) for m in range(3) for flag, c in ((False, toy.CHECKPOINTS), (True, COUNT)) for n in range(c)]
    for number, (name, method, seed, perplexity) in enumerate(kinds):
        own = rows[number * POINTS : (number + 1) * POINTS]
        assert {(row["subspace"], row["method"], row["seed"]) for row in own} == {(name, method, seed)}
        assert all(row["perplexity"] == perplexity or math.isnan(row["perplexity"]) for row in own)
        assert all(math.isnan(row["perplexity"]) == (perplexity is None) for row in own)
        assert [(row["member"], row["drawn"], row["number"]) for row in own] == places
        assert len({(row["x"], row["y"]) for row in own}) > POINTS // 2


def test_what_a_method_does_not_say_is_missing(toy_run):
    _, _, tables = toy_run
    rows = tables["embedding_quality"].rows()
    assert [(row["subspace"], row["method"], row["seed"]) for row in rows] == [
        (name, method, seed) for name in NAMES for method, seed, _ in PICTURES
    ]
    for row in rows:
        said = {name for name in ("perplexity", "divergence", "explained", "stress") if not math.isnan(row[name])}
        assert said == {"tsne": {"perplexity", "divergence"}, "pca": {"explained"}, "mds": {"stress"}}[row["method"]]
        assert sum(row[name] for name in said) > 0


def test_purity_is_that_of_the_points_in_the_table(toy_run):
    _, _, tables = toy_run
    table = tables["embedding"].rows()
    for place, row in enumerate(tables["embedding_quality"].rows()):
        own = table[place * POINTS : (place + 1) * POINTS]
        points, labels = [(p["x"], p["y"]) for p in own], [(p["member"], p["drawn"]) for p in own]
        assert row["purity"] == pytest.approx(stays(points, labels, range(POINTS)), abs=1e-12)
        drawn = [i for i, (_, flag) in enumerate(labels) if flag]
        assert row["purity_drawn"] == pytest.approx(stays(points, labels, drawn), abs=1e-12)


def test_purity_before_any_embedding_is_that_of_all_predictions(toy_run):
    context, results, tables = toy_run
    rows = examples_of(context, EXAMPLES)
    for name in NAMES:
        points, labels = points_of(context, results, name, range(3), rows)
        for member in range(3):
            (row,) = [r for r in tables["drawn"].rows() if (r["subspace"], r["member"]) == (name, member)]
            assert (row["asked"], row["tried"], row["kept"]) == (COUNT, COUNT, COUNT)
            chosen = [i for i, label in enumerate(labels) if label == (member, True)]
            assert row["purity_predictions"] == pytest.approx(stays(points, labels, chosen), abs=1e-12)


@pytest.mark.parametrize("count", [EXAMPLES, None])
def test_trajectories_and_drawn_members_are_seen_on_the_same_examples(toy_run, count):
    """By the whole geometry: principal axes of predictions on the chosen examples, as scikit-learn finds them."""
    from sklearn.decomposition import PCA

    context, results, tables = toy_run
    rows = examples_of(context, count)
    assert len(rows) == (count or 90)
    if count is None:
        results, tables = toy.performed(context, replace(FEW, examples=None))
    points, _ = points_of(context, results, "swag", range(3), rows)
    library = PCA(2, svd_solver="full").fit(points)
    of_pca = [r for r in tables["embedding"].rows() if (r["subspace"], r["method"]) == ("swag", "pca")]
    mine, theirs = np.array([(r["x"], r["y"]) for r in of_pca]), library.transform(points)
    # float32 predictions
    assert np.allclose(mine, theirs * np.sign((mine * theirs).sum(axis=0)), atol=1e-4)
    (row,) = [r for r in tables["embedding_quality"].rows() if (r["subspace"], r["method"]) == ("swag", "pca")]
    assert row["explained"] == pytest.approx(library.explained_variance_ratio_.sum(), abs=1e-5)


def test_the_stress_is_that_of_all_predictions(toy_run):
    context, results, tables = toy_run
    points, _ = points_of(context, results, "swag", range(3), examples_of(context, EXAMPLES))
    for seed in (0, 1):
        key = ("swag", "mds", seed)
        found = [r for r in tables["embedding"].rows() if (r["subspace"], r["method"], r["seed"]) == key]
        (row,) = [r for r in tables["embedding_quality"].rows() if (r["subspace"], r["method"], r["seed"]) == key]
        missed = wanted = 0.0
        for i in range(POINTS):
            for j in range(i):
                far = math.dist(points[i], points[j])
                near = math.dist((found[i]["x"], found[i]["y"]), (found[j]["x"], found[j]["y"]))
                missed, wanted = missed + (near - far) ** 2, wanted + far**2
        # float32 predictions
        assert row["stress"] == pytest.approx(math.sqrt(missed / wanted), abs=1e-5)


@pytest.mark.parametrize(("method", "perplexity"), [("tsne", 2.5), ("mds", None)])
def test_another_seed_is_another_picture(toy_run, method, perplexity):
    _, _, tables = toy_run
    first, second = (
        [
            (row["x"], row["y"])
            for row in tables["embedding"].rows()
            if (row["subspace"], row["method"], row["seed"]) == ("swag", method, seed)
            and perplexity in (None, row["perplexity"])
        ]
        for seed in (0, 1)
    )
    assert len(first) == len(second) == POINTS
    assert not np.allclose(first, second, atol=0.01)


def reduced(*members):
    """What ``reduce_drawn`` gives for members, each the probabilities of its path and of its drawn ones."""
    context, inputs = toy.context_of(2), {}
    for number, (path, drawn) in enumerate(members):
        logits = torch.tensor(path, dtype=torch.float32).log()[:, None].expand(-1, 90, -1).contiguous()
        inputs[f"predict/member/{number}/test"] = Result({"predictions": {"logits": logits}}, {})
        found = torch.tensor(drawn, dtype=torch.float32)[:, None].expand(-1, 90, -1)
        facts = {"asked": len(drawn), "tried": len(drawn), "kept": len(drawn)}
        inputs[f"draw/embedding/swag/member/{number}"] = Result({"drawn": {"probabilities": found}}, facts)
    arguments = {"members": [0, 1], "subspace": "swag", "split": "test", "examples": None}
    job = Job(arguments, {name: lambda r=result: r for name, result in inputs.items()})
    (result,) = [event.result for event in reduce_drawn(context, [job]) if isinstance(event, Finished)]
    return result


LEFT, RIGHT = [[0.9, 0.05, 0.05], [0.91, 0.04, 0.05]], [[0.05, 0.9, 0.05], [0.04, 0.91, 0.05]]
NEAR_LEFT, NEAR_RIGHT = [[0.9, 0.06, 0.04], [0.92, 0.03, 0.05]], [[0.06, 0.9, 0.04], [0.03, 0.92, 0.05]]


def test_members_drawn_near_solutions_that_are_far_apart_stay_with_them():
    found = reduced((LEFT, NEAR_LEFT), (RIGHT, NEAR_RIGHT))
    assert [row["purity_predictions"] for row in found.facts["drawn"]] == [1.0, 1.0]
    tensors = found.files["reduced"]
    assert tensors["member"].tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert tensors["drawn"].tolist() == [0, 0, 1, 1] * 2
    assert tensors["number"].tolist() == [0, 1, 0, 1] * 2
    apart = torch.pdist(tensors["points"])
    # ninety examples that are all alike: distances between rows of probabilities, times the root of ninety
    rows = torch.tensor([*LEFT, *NEAR_LEFT, *RIGHT, *NEAR_RIGHT], dtype=torch.float64)
    assert torch.allclose(apart, torch.pdist(rows) * 90**0.5, atol=1e-5)


def test_members_that_are_given_to_the_wrong_trajectory_do_not():
    crossed = reduced((LEFT, NEAR_RIGHT), (RIGHT, NEAR_LEFT))
    assert [row["purity_predictions"] for row in crossed.facts["drawn"]] == [0.0, 0.0]
    half = reduced((LEFT, [NEAR_LEFT[0], [0.1, 0.86, 0.04]]), (RIGHT, NEAR_RIGHT))
    assert [row["purity_predictions"] for row in half.facts["drawn"]] == [0.5, 1.0]


def test_members_that_score_too_low_are_not_embedded():
    context = toy.context_of(2, validation=40, random_direction=RandomDirection(scale=30.0))
    study = replace(FEW, subspaces=("random_direction",), keep=Keep(least=0.51, tries=3))
    results, tables = toy.performed(context, study)
    targets, turned_away = context.splits["validation"].targets.numpy(), 0
    for row in tables["drawn"].rows():
        tried = kept = 0
        drawn = redrawn.members(context, results, "random_direction", row["member"], "embedding", [None] * 3 * COUNT)
        for member in drawn:
            classes = redrawn.logits(context, member, "validation").argmax(axis=1)
            tried, kept = tried + 1, kept + ((classes == targets).mean() >= 0.51)
            if kept == COUNT:
                break
        assert (row["asked"], row["tried"], row["kept"]) == (COUNT, tried, kept)
        own = [p for p in tables["embedding"].rows() if (p["method"], p["member"]) == ("pca", row["member"])]
        assert [p["number"] for p in own if p["drawn"]] == list(range(kept))
        turned_away += tried - kept
    assert turned_away > 0


@pytest.mark.parametrize("cores", [1, 3])
def test_the_number_of_cores_changes_no_number(toy_run, cores):
    context, results, _ = toy_run
    tasks = [task for task in STUDY.tasks(context.setup, toy.sizes_of(context)) if task.phase == "draw"]
    for name, result in toy.together(replace(context, engine=Engine(room=Room(cores))), results, tasks).items():
        before = results.read(name)
        assert result.facts == before.facts
        assert torch.equal(result.files["drawn"]["probabilities"], before.files["drawn"]["probabilities"])


def test_a_member_that_fails_is_on_no_map(toy_run, monkeypatch):
    context, results, _ = toy_run
    monkeypatch.setattr("modescape.core.training.work.train", toy.failing({1}))
    again, found = toy.performed(context, FEW)
    assert [row["status"] for row in found["members"].rows()] == ["done", "failed", "done", "done"]
    assert set(found["embedding"]["member"].tolist()) == {0, 2}
    assert [row["member"] for row in found["drawn"].rows()] == [0, 2]
    assert again.read("draw/embedding/swag/member/1") is None
    for member in (0, 2):
        task = f"draw/embedding/swag/member/{member}"
        left, before = (r.read(task).files["drawn"]["probabilities"] for r in (again, results))
        assert torch.equal(left, before)


def test_a_map_that_a_failed_member_left_too_small_is_left_out_and_the_rest_stands(monkeypatch):
    # 25 fits the 33 points of three members, not the 22 of two
    monkeypatch.setattr("modescape.core.training.work.train", toy.failing({0}))
    _, tables = toy.performed(toy.context_of(3), replace(FEW, perplexities=(25.0,)))
    assert [row["method"] for row in tables["embedding_quality"].rows()] == ["pca", "mds"]
    assert set(tables["embedding"]["method"].tolist()) == {"pca", "mds"}
    assert tables["answers"]["quantity"].tolist() == ["purity_predictions", "purity_mds", "purity_pca"]


def test_one_member_left_is_no_study(monkeypatch):
    context = toy.context_of(3)
    monkeypatch.setattr("modescape.core.training.work.train", toy.failing({0, 2}))
    results = perform(FEW.tasks(context.setup, toy.sizes_of(context)), context)
    assert (
        "it takes two trajectories to compare, and 1 came to the end"
        in results.failure("embed/subspace/swag/reduce")["reason"]
    )
    with pytest.raises(MemberFailed, match=r"no embedding could be made: .*two.*member 0 diverged on purpose"):
        FEW.tables(context.setup, results)


def quality(subspace, method, purity):
    return {"subspace": subspace, "method": method, "purity_drawn": purity}


def drawn(subspace, purity):
    return {"subspace": subspace, "purity_predictions": purity}


PURE = [quality("swag", "tsne", 1.0), quality("swag", "tsne", 0.8), quality("swag", "pca", 0.5)]


def test_the_answers_are_means_and_ranges():
    both = [*PURE, quality("random_pca", "tsne", 0.6), quality("random_pca", "mds", 0.7)]
    rows = answers(both, [drawn("swag", 1.0), drawn("swag", 0.9), drawn("random_pca", 0.8)], "test").rows()
    numbers = {row["quantity"]: (row["value"], row["least"], row["most"], row["count"]) for row in rows}
    assert numbers == {
        "purity_predictions": (pytest.approx(0.9), 0.8, 1.0, 3),
        "purity_tsne": (pytest.approx(0.8), 0.6, 1.0, 3),
        "purity_mds": (0.7, 0.7, 0.7, 1),
        "purity_pca": (0.5, 0.5, 0.5, 1),
        "purity_tsne_swag": (pytest.approx(0.9), 0.8, 1.0, 2),
        "purity_tsne_random_pca": (0.6, 0.6, 0.6, 1),
    }
    told = {row["quantity"]: row["sentence"] for row in rows}
    assert told["purity_predictions"].startswith("Samples stay with their own trajectory only in part: 90.0% of the")
    assert "over 3 clouds of 2 subspaces 80.0% to 100.0%" in told["purity_predictions"]
    assert "by t-SNE" in told["purity_tsne"]
    assert "over 3 embeddings 60.0% to 100.0%" in told["purity_tsne"]
    assert "over 1 embedding 50.0%" in told["purity_pca"]
    assert told["purity_tsne_random_pca"].startswith("For random PCA that is 60.0%")
    assert all(math.isnan(row["low"]) and math.isnan(row["high"]) for row in rows)


@pytest.mark.parametrize(("lowest", "start"), [(0.95, "Nearly every sample"), (0.85, "Samples stay")])
def test_the_lead_grades_how_many_stay(lowest, start):
    (lead, *_) = answers(PURE, [drawn("swag", 1.0), drawn("swag", lowest)], "test").rows()
    assert lead["sentence"].startswith(start)


def test_the_lead_says_when_all_stay():
    (lead, *_) = answers(PURE, [drawn("swag", 1.0), drawn("swag", 1.0)], "train").rows()
    assert lead["sentence"].startswith("Every sample stays with its own trajectory: 100.0% of the drawn members")
    assert "the train examples" in lead["sentence"]
    assert "2 clouds of 1 subspace 100.0%" in lead["sentence"]
