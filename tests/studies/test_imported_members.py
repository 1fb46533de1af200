"""Members that were trained elsewhere: studies run on them as on their own, and train nothing."""

from dataclasses import replace

import pytest
import torch
from references import toy

from modescape.core.seeds import global_generator
from modescape.core.weights import of_module
from modescape.studies.alignment import Alignment
from modescape.studies.cross_sections import CrossSections
from modescape.studies.ensembling import Ensembling
from modescape.studies.setup import MethodChoice, NetworkChoice, Setup
from modescape.studies.trajectories import Trajectories

pytestmark = pytest.mark.study


def imported(count=3, **more):
    """A context whose members come from somewhere else, and its sizes."""
    torch.set_num_threads(1)
    context = toy.context_of(count)
    networks = []
    for seed in range(count):
        with global_generator(seed, "elsewhere"):
            networks.append(of_module(context.build(), 0))
    files = tuple(f"{place}.safetensors" for place in range(count))
    setup = replace(context.setup, network=NetworkChoice(factory="toy:build", weights=files), **more)
    context = replace(context, setup=setup, imported=networks)
    return context, replace(toy.sizes_of(context), imported=tuple(f"digest {place}" for place in range(count)))


def run(context, sizes, study):
    from references.in_memory import perform

    tasks = study.tasks(context.setup, sizes)
    results = perform(tasks, context)
    return tasks, results, study.tables(context.setup, results)


@pytest.mark.parametrize(
    "study",
    [
        CrossSections(examples=30, train_examples=20, grid=5, points=5, kinds=("plane", "line"), count=1),
        Alignment(examples=30, pairs=1, points=3, starts=1, draws=100),
        Ensembling(subsets=2, draws=100),
    ],
    ids=lambda study: type(study).__name__,
)
def test_a_study_takes_them_as_they_are_and_trains_nothing(study):
    context, sizes = imported(methods=MethodChoice(names=("independent", "random_direction"), samples=2))
    tasks, results, tables = run(context, sizes, study)
    training = [task for task in tasks if task.phase == "train"]
    assert [task.name for task in training] == [f"train/member/{m}/imported" for m in range(3)]
    assert [task.arguments["sha256"] for task in training] == [f"digest {m}" for m in range(3)]
    for member in range(3):
        kept = results.read(f"train/member/{member}/imported").files["checkpoints"]
        for name, tensor in context.imported[member].params.items():
            assert torch.equal(kept[f"param.{name}"], tensor)
    assert [(row["status"], row["step"]) for row in tables["members"].rows()] == [("done", 0)] * 3
    assert len(tables["answers"]) > 0


def test_what_needs_training_is_refused():
    context, sizes = imported()
    with pytest.raises(ValueError, match=r"no trajectories: network\.weights gives solutions alone"):
        Trajectories(perplexities=(3.0,)).tasks(context.setup, sizes)
    context, sizes = imported(methods=MethodChoice(names=("independent", "snapshot"), cycles=3))
    with pytest.raises(ValueError, match="snapshot needs networks to be trained"):
        Ensembling().tasks(context.setup, sizes)


def test_each_member_needs_its_file():
    context, _ = imported()
    network = NetworkChoice(factory="toy:build", weights=("a.safetensors",))
    with pytest.raises(ValueError, match=r"names 1 files and training\.members is 3.*set training\.members = 1"):
        Setup(data=context.setup.data, network=network, training=context.setup.training)
