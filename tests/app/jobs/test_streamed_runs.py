"""Runs on images that are decoded when they are asked for: every way, any number of threads, shifts, whole recipes."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import pytest
import torch
from references import photographs_made as made
from references import trainings

from modescape.app.datasets import decoding, photograph_files
from modescape.app.datasets.extra import extra
from modescape.app.datasets.load import load
from modescape.app.jobs.perform import disk_needed, examples_of_checkpoints, perform
from modescape.app.jobs.prepare import Options, prepare
from modescape.app.jobs.recipe import validate
from modescape.core.engine.catalogue import WAYS
from modescape.core.evaluation import scaled_chunks
from modescape.core.models.plain_cnn import small_cnn
from modescape.core.predictions import predict_all
from modescape.core.splits import Split, scaling_of
from modescape.core.training.plan import Plan, batches
from modescape.core.training.settings import Optimiser, Training
from modescape.errors import DataError, SettingsError

CPU = torch.device("cpu")
ROOM = trainings.ROOM


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return made.folder(tmp_path_factory.mktemp("photographs") / "images", train=8, val=4)


def plan(root, **settings):
    split = load(str(root), size=8).splits["train"].on(CPU)
    wanted = {"members": 2, "epochs": 2, "batch": 8, "augmentation": "resized_crop_flip"} | settings
    training = Training(optimiser=Optimiser(rate=1e-2), **wanted)
    return Plan(training, 0, split, scaling_of("standard", split.inputs), partial(small_cnn, (3, 8, 8), 3, (4, 4), 0.2))


def work(wanted, epochs=2):
    return trainings.work(wanted, range(2), epochs)


@pytest.mark.parametrize("way", ["serial", "threads", "processes"])
@pytest.mark.parametrize("threads", [1, 5])
def test_ways_and_threads_change_no_bit(root, way, threads, monkeypatch):
    expected = [trainings.alone(work(plan(root)), index) for index in range(2)]
    with ThreadPoolExecutor(threads) as own:
        monkeypatch.setattr(decoding, "pool", lambda: own)
        found = trainings.results(WAYS[way], work(plan(root)), ROOM)
    assert all(trainings.same(one, other) for one, other in zip(found, expected, strict=True))
    assert not trainings.same(expected[0], replace(expected[1], steps=expected[0].steps))


def test_two_legs_are_one_journey_with_pieces_too(root):
    whole = trainings.alone(work(plan(root)), 1)
    first = trainings.alone(work(plan(root), epochs=1), 1)
    legs = work(plan(root)).legs
    second = replace(work(plan(root)), legs=[legs[0], replace(legs[1], start=first.end, epochs=1)])
    end = trainings.alone(second, 1).end
    assert all(torch.equal(tensor, whole.end.weights.params[name]) for name, tensor in end.weights.params.items())


def test_image_member_and_epoch_decide_about_a_piece(root, monkeypatch):
    """An epoch of batches has for each image the piece that a slow loop finds by names alone."""
    seen = {}
    plain = photograph_files.Photographs.one

    def watched(self, number, cut):
        if cut is not None:
            seen.setdefault(number, []).append(cut(100, 100))
        return plain(self, number, cut)

    monkeypatch.setattr(photograph_files.Photographs, "one", watched)
    runs = []
    for wanted in (plan(root), plan(root), plan(root, members=1)):
        trainings.alone(trainings.work(wanted, range(1), 2), 0)
        runs.append({number: list(boxes) for number, boxes in seen.items()})
        seen.clear()
    assert runs[0] == runs[1] == runs[2]
    assert {len(boxes) for boxes in runs[0].values()} == {2}
    assert all(first != second for first, second in runs[0].values())
    trainings.alone(work(plan(root)), 1)
    assert all(boxes[0] != runs[0][number][0] for number, boxes in seen.items())
    order = batches(plan(root), 0, 0).flatten().tolist()
    assert sorted(order) == sorted(runs[0])


def test_a_damaged_image_ends_the_members_with_its_name_and_leaves_no_thread(root, tmp_path):
    own = made.folder(tmp_path / "own")
    wanted = plan(own)
    broken = own / "train" / wanted.data.inputs.found.names[0]
    broken.write_bytes(broken.read_bytes()[:300])
    for index in range(2):
        with pytest.raises(DataError, match=broken.name):
            trainings.alone(work(wanted), index)


def test_predictions_are_those_from_memory(root):
    wanted, split = plan(root), load(str(root), size=8).splits["test"].on(CPU)
    weights = trainings.alone(work(wanted), 0).end.weights
    stored = Split(split.inputs[:], split.targets)
    expected = predict_all(wanted.build, weights, stored, wanted.scaling)
    assert torch.equal(predict_all(wanted.build, weights, split, wanted.scaling), expected)
    chunks = [len(chunk) for chunk in scaled_chunks(split, wanted.scaling, 5)]
    assert chunks == [5, 5, 2]


def test_shifts_and_noise_are_made_one_by_one(root, monkeypatch):
    dataset = load(str(root), size=32)
    with ThreadPoolExecutor(1) as single:  # a thread that waited for itself would wait for ever
        monkeypatch.setattr(decoding, "pool", lambda: single)
        for name in ("shift/fog/3", "shift/gaussian_noise/5", "unknown/noise"):
            found = extra(dataset, name, None, 0)
            split = found.load()
            values = split.inputs[:]
            assert values.shape == dataset.splits["test"].inputs.shape and found.examples == 12
            # its number decides, not what is asked for beside it
            assert torch.equal(split.inputs[[7, 2]], values[[7, 2]])
            assert torch.equal(split.inputs.part(torch.tensor([2, 5]))[:], values[[2, 5]])
            apart = (values.float() - dataset.splits["test"].inputs[:].float()).abs().mean(dim=(1, 2, 3))
            assert (apart > 3).all()
            assert len({value.numpy().tobytes() for value in values}) == 12
            assert torch.equal(extra(dataset, name, None, 0).load().inputs[:], values)
            assert not torch.equal(extra(dataset, name, None, 1).load().inputs[:], values)
        noise = extra(dataset, "unknown/noise", None, 0).load().inputs[:].double()
        train = dataset.splits["train"].inputs[:].double()
    # 12,288 numbers a channel, cut at both ends of the range
    assert (noise.mean(dim=(0, 2, 3)) - train.mean(dim=(0, 2, 3))).abs().max() < 8


RECORD = {
    "title": "Streamed",
    "studies": ["trajectories", "shift"],
    "data": {"size": 8, "validation": 4},
    "network": {"name": "small_cnn", "options": {"channels": [2, 2], "dropout": 0.1}},
    "training": {"members": 2, "epochs": 2, "batch": 10, "augmentation": "resized_crop_flip"},
    "trajectories": {"perplexities": [2.0], "seeds": 1, "draws": 100},
    "methods": {"names": ["independent", "random_direction"], "samples": 2, "keep": {"least": 0.0}},
    "shift": {"families": ["fog"], "severities": [2], "examples": 6, "draws": 100, "subsets": 2},
}


def prepared(root, **data):
    recipe = validate(RECORD | {"data": {"name": str(root), **RECORD["data"], **data}}, "a test")
    return prepare(recipe, Options(cores=2))


@pytest.mark.study
def test_a_recipe_runs_and_goes_on(root, tmp_path):
    ready = prepared(root)
    first = perform(ready, ready.recipe.studies, tmp_path / "run", {"name": "streamed"}, lambda happening: None)
    assert not first.failures
    told = [row["sentence"] for study in first.tables.values() for row in study["answers"].rows()]
    assert len(told) >= 4
    performed = []
    again = prepared(root)
    second = perform(again, again.recipe.studies, tmp_path / "run", {"name": "streamed"}, performed.append)
    assert [row["sentence"] for study in second.tables.values() for row in study["answers"].rows()] == told
    other = perform(again, again.recipe.studies, tmp_path / "other", {"name": "streamed"}, lambda happening: None)
    assert [row["sentence"] for study in other.tables.values() for row in study["answers"].rows()] == told


def test_what_belongs_to_a_run_names_a_size_where_there_is_one(root):
    assert prepared(root).belongs["recipe"]["data"]["size"] == 8
    record = RECORD | {"data": {"name": "digits", "train": 40}, "training": {"members": 2, "epochs": 2}}
    assert "size" not in prepare(validate(record, "a test"), Options(cores=1)).belongs["recipe"]["data"]


def test_logits_of_checkpoints_count_for_the_disk_as_long_as_their_split(root):
    ready = prepared(root)
    tasks = ready.tasks(["trajectories"])
    # 3 checkpoints of 2 members on the 12 images of val; training images are 20
    kept = examples_of_checkpoints(ready, tasks)
    assert kept == 3 * 2 * 12
    assert disk_needed(ready, tasks) >= kept * 3 * 4


def test_pieces_are_for_images_in_files():
    with pytest.raises(SettingsError, match="resized_crop_flip cuts pieces out of images that are decoded from files"):
        prepare(validate(RECORD | {"data": {"name": "digits"}}, "a test"), Options(cores=1))
