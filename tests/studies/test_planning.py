"""The tasks of the study ``trajectories``: their names, chains and sizes; and the settings that are refused."""

import pytest

from modescape.core.training.settings import Checkpoints, Training
from modescape.studies.abstract import Sizes, content_keys
from modescape.studies.catalogue import STUDIES
from modescape.studies.members import prediction_tasks, segments, training_tasks
from modescape.studies.setup import DataChoice, NetworkChoice, Setup
from modescape.studies.trajectories import Trajectories
from modescape.tables import STUDIES as TABLES

SIZES = Sizes({"train": 100, "test": 20}, batch=32)


def setup_of(**training):
    return Setup(
        data=DataChoice(name="toy"),
        network=NetworkChoice(name="mlp"),
        training=Training(**({"members": 3, "epochs": 5, "batch": 32, "save_every": 2} | training)),
    )


def test_each_member_is_a_chain_and_the_members_alternate():
    tasks = training_tasks(setup_of(), SIZES)
    ends = [(task.arguments["member"], int(task.name.split("/")[-1])) for task in tasks]
    assert ends == [(member, end) for end in (2, 4, 5) for member in (0, 1, 2)]
    for task in tasks:
        member, end = task.arguments["member"], int(task.name.split("/")[-1])
        assert task.name == f"train/member/{member}/epoch/{end}"
        assert task.arguments["from"] + task.arguments["epochs"] == end
        # three steps of 32 examples in an epoch of 100
        assert task.weight == task.arguments["epochs"] * 96
        before = {2: None, 4: 2, 5: 4}[end]
        assert task.inputs == ({} if before is None else {"before": f"train/member/{member}/epoch/{before}"})
        assert task.carries == (None if before is None else "before")


@pytest.mark.parametrize(("epochs", "every", "ends"), [(4, 2, [2, 4]), (1, 1, [1]), (3, 10, [3]), (3, 1, [1, 2, 3])])
def test_segments_cover_every_epoch_once(epochs, every, ends):
    setup = setup_of(epochs=epochs, save_every=every)
    assert segments(setup, 7) == [f"train/member/7/epoch/{end}" for end in ends]
    lengths = [task.arguments["epochs"] for task in training_tasks(setup, SIZES) if task.arguments["member"] == 0]
    assert sum(lengths) == epochs


@pytest.mark.parametrize(
    ("checkpoints", "count"),
    [
        (Checkpoints(), 6),  # the initialisation and five epochs
        (Checkpoints(every=2), 4),  # 0, 2, 4 and the solution at 5
        (Checkpoints(every=4, unit="step"), 5),  # 0, 4, 8, 12 and the solution at 15
        (Checkpoints(every=99), 2),
    ],
)
def test_predictions_weigh_as_many_checkpoints_as_there_will_be(checkpoints, count):
    tasks = prediction_tasks(setup_of(checkpoints=checkpoints), SIZES, "test")
    assert [task.name for task in tasks] == [f"predict/member/{m}/test" for m in range(3)]
    assert [task.weight for task in tasks] == [count] * 3
    assert list(tasks[1].inputs) == segments(setup_of(), 1)


def test_the_study_trains_predicts_compares_and_embeds_in_that_order():
    study = Trajectories(perplexities=(3.0, 2.5), seeds=2)
    tasks = study.tasks(setup_of(), SIZES)
    assert [task.phase for task in tasks] == ["train"] * 9 + ["predict"] * 3 + ["compare"] + ["embed"] * 6
    assert [task.name for task in tasks[-5:]] == [
        "embed/tsne/perplexity/3/seed/0",
        "embed/tsne/perplexity/3/seed/1",
        "embed/tsne/perplexity/2.5/seed/0",
        "embed/tsne/perplexity/2.5/seed/1",
        "embed/pca",
    ]
    assert {task.name for task in tasks if task.tolerant} == {"compare", "embed/reduce"}
    # every task comes after its inputs, and no two tasks are the same computation
    keys = content_keys(tasks, {})
    assert len(set(keys.values())) == len(tasks)


def test_plans_that_cannot_be_performed_are_refused():
    with pytest.raises(ValueError, match="members must be at least 2"):
        Trajectories(perplexities=(3.0,)).tasks(setup_of(members=1), SIZES)
    with pytest.raises(ValueError, match=r"there is no split 'validation'; choose train, test"):
        Trajectories(split="validation", perplexities=(3.0,)).tasks(setup_of(), SIZES)
    # three members with six checkpoints each: a perplexity of 17 is possible, 18 is not
    assert Trajectories(perplexities=(17.0,)).tasks(setup_of(), SIZES)
    with pytest.raises(ValueError, match=r"perplexity must be below the number of checkpoints, 18; got \[18.0\]"):
        Trajectories(perplexities=(18.0,)).tasks(setup_of(), SIZES)


@pytest.mark.parametrize(
    ("settings", "words"), [({"seeds": 0}, "seeds"), ({"draws": 99}, "draws"), ({"perplexities": (0.0,)}, "perplex")]
)
def test_impossible_settings_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        Trajectories(**settings)


@pytest.mark.parametrize(
    ("kind", "settings", "words"),
    [
        (NetworkChoice, {}, "either name"),
        (NetworkChoice, {"name": "mlp", "factory": "a:b"}, "not both"),
        (NetworkChoice, {"name": "vgg"}, "there is no network 'vgg'; choose small_cnn"),
        (NetworkChoice, {"factory": "mine"}, "package.module:function"),
        (DataChoice, {"name": "x", "train": 0}, "train must be at least 1"),
        (DataChoice, {"name": "x", "validation": -1}, "validation must be 0 or more"),
    ],
)
def test_impossible_choices_are_refused(kind, settings, words):
    with pytest.raises(ValueError, match=words):
        kind(**settings)


@pytest.mark.parametrize("seed", [-1, 2**63])
def test_seeds_that_do_not_fit_are_refused(seed):
    with pytest.raises(ValueError, match="seed must lie in"):
        Setup(data=DataChoice(name="x"), network=NetworkChoice(name="mlp"), training=Training(), seed=seed)


def test_a_network_has_a_title_whoever_made_it():
    assert NetworkChoice(name="mlp").title == "mlp"
    assert NetworkChoice(factory="mine:make").title == "mine:make"


def test_every_study_of_the_catalogue_has_its_tables_described():
    assert STUDIES.keys() == TABLES.keys()
