"""From a recipe to data, a network and an identity; what cannot be is refused before anything is written."""

from dataclasses import replace

import pytest
import torch
from toy_recipe import RECORD, toy

from modescape.app.jobs.estimate import estimate
from modescape.app.jobs.prepare import Options, choose_device, machine, prepare, versions
from modescape.app.jobs.recipe import validate
from modescape.core.engine.notes import EngineNote, forget
from modescape.errors import NetworkError, SettingsError


def prepared(record=RECORD, **options):
    return prepare(validate(record, "toy"), Options(**({"device": "cpu", "cores": 1} | options)))


@pytest.fixture(scope="module")
def ready():
    return prepared()


def test_digits_are_ready_to_train_on(ready):
    context = ready.context
    assert {name: len(split) for name, split in context.splits.items()} == {
        "train": 40,
        "validation": 197,
        "test": 1500,
    }
    assert ready.sizes.examples == {"train": 40, "validation": 197, "test": 1500}
    assert (ready.sizes.batch, ready.sizes.steps_per_epoch) == (20, 2)
    assert (context.classes, context.cores, context.device.type) == (10, 1, "cpu")
    scaled = context.scaling(context.splits["train"].inputs)
    assert abs(float(scaled.mean())) < 1e-5
    assert abs(float(scaled.std()) - 1) < 1e-3
    assert sum(p.numel() for p in context.build().parameters()) == ready.parameters
    assert context.build()(scaled[:3]).shape == (3, 10)
    assert torch.get_num_threads() == 1


def test_all_tasks_have_keys_that_follow_from_the_settings(ready):
    tasks = ready.tasks(["trajectories"])
    keys = ready.keys(tasks)
    assert keys.keys() == {task.name for task in tasks}
    assert ready.keys(prepared(RECORD | {"title": "Other", "description": "words"}).tasks(["trajectories"])) == keys
    for other in (RECORD | {"seed": 1}, toy(batch=10), RECORD | {"data": {"name": "digits", "train": 41}}):
        changed = prepared(other)
        assert not set(changed.keys(changed.tasks(["trajectories"])).values()) & set(keys.values())


def test_settings_of_a_study_reach_its_own_tasks_alone(ready):
    keys = ready.keys(ready.tasks(["trajectories"]))
    other = prepared(RECORD | {"trajectories": {"perplexities": [4.0], "seeds": 1, "draws": 100}})
    changed = other.keys(other.tasks(["trajectories"]))
    shared = {name for name in keys if changed.get(name) == keys[name]}
    assert set(keys) - shared == {"embed/tsne/perplexity/3/seed/0"}
    assert set(changed) - shared == {"embed/tsne/perplexity/4/seed/0"}


def test_what_a_run_belongs_to_says_all_that_decides_about_numbers(ready):
    belongs = ready.belongs
    assert belongs["recipe"]["training"]["members"] == 3
    assert belongs["recipe"]["training"]["optimiser"]["name"] == "adam"
    assert not {"title", "description"} & set(belongs["recipe"])
    assert belongs["data_sha256"] == ready.dataset.digest
    assert belongs["engine"] == {"device": "cpu", "arithmetic": "alone, float32", "operator_threads": 1}
    assert "factory_sha256" not in belongs
    own = prepared(RECORD | {"network": {"factory": "own_networks:flat", "options": {"width": 4}}})
    assert len(own.belongs["factory_sha256"]) == 64
    assert own.parameters == 64 * 4 + 4 + 4 * 10 + 10


@pytest.mark.parametrize(
    ("record", "error", "said"),
    [
        (RECORD | {"data": {"name": "digit"}}, SettingsError, "digits"),
        (RECORD | {"data": {"name": "digits", "train": 101}}, SettingsError, "train = 101 is impossible for digits"),
        (RECORD | {"data": {"name": "digits", "validation": 297}}, SettingsError, "validation = 297 is impossible"),
        (RECORD | {"network": {"name": "signal_cnn"}}, NetworkError, "network signal_cnn"),
        (RECORD | {"network": {"factory": "own_networks:few"}}, NetworkError, "gives (4, 9) for 4 examples"),
    ],
)
def test_what_does_not_fit_the_data_is_refused(record, error, said):
    with pytest.raises(error) as refused:
        prepared(record)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_augmentation_needs_images():
    record = RECORD | {"data": {"name": "mnist1d", "train": 40}, "network": {"name": "mlp"}}
    with pytest.raises(SettingsError, match=r"training\.augmentation = crop_flip needs images; mnist1d has none"):
        prepared(record | {"training": {"augmentation": "crop_flip"}})


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (toy(members=1), "study trajectories: .*training.members must be at least 2"),
        (RECORD | {"trajectories": {"split": "tests"}}, "there is no split 'tests'; choose train"),
        (RECORD | {"trajectories": {"perplexities": [12.0]}}, "perplexity must be below the number of checkpoints, 12"),
    ],
)
def test_a_study_that_cannot_be_planned_is_told(record, said):
    with pytest.raises(SettingsError, match=said):
        prepared(record).tasks(["trajectories"])


@pytest.mark.parametrize("wanted", ["gpu", "", "cpu:x", "meta", "mps"])
def test_a_device_that_is_not_there_is_told(wanted):
    with pytest.raises(SettingsError, match="choose auto, cpu, cuda or cuda:0"):
        choose_device(wanted)


def test_devices_by_name(monkeypatch):
    assert choose_device("cpu").type == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto").type == "cpu"
    forget()
    with pytest.warns(EngineNote, match="cuda:1 was asked for, .* finds no CUDA here; the CPU is used instead"):
        assert choose_device("cuda:1").type == "cpu"
    with pytest.raises(SettingsError, match="there is no device 'gpu'"):
        choose_device("gpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device("auto").type == "cuda"


def test_versions_and_machine_are_told(ready):
    # The commit is known in a checkout alone.
    assert versions().keys() - {"commit"} == {"modescape", "python", "torch", "numpy", "scikit-learn"}
    assert versions()["torch"] == torch.__version__
    assert machine(ready.context)["cores used"] == "1"
    assert machine(ready.context)["GPU"] == "none used"
    assert machine(ready.context)["processor"]


def test_an_estimate_counts_the_work_and_writes_nothing(ready, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("modescape.app.jobs.estimate.PROBE_SECONDS", 0.05)
    tasks = ready.tasks(["trajectories"])
    found = estimate(ready, tasks)
    assert found.tasks == len(tasks) == 13
    assert found.images == 3 * 3 * 40
    assert found.images_per_second > 0
    assert found.predictions_per_second > 0
    assert found.seconds > 0
    assert found.disk > 2**24
    assert list(tmp_path.iterdir()) == []


def test_studies_that_do_not_fit_the_network_are_left_out_unless_none_is_left(ready):
    noisy = replace(ready, sizes=replace(ready.sizes, noisy="it is noisy"))
    forget()
    with pytest.warns(EngineNote, match="the study curvature is left out: it is noisy"):
        assert noisy.fitting(("trajectories", "curvature")) == ("trajectories",)
    with pytest.raises(SettingsError, match="study curvature: it is noisy; study cross_sections: it is noisy"):
        noisy.fitting(("curvature", "cross_sections"))
    assert ready.fitting(("curvature",)) == ("curvature",)


def test_a_mistake_in_the_settings_is_no_misfit(ready):
    wrong = replace(ready, recipe=replace(ready.recipe, trajectories=replace(ready.recipe.trajectories, split="tset")))
    with pytest.raises(SettingsError, match="study trajectories: there is no split 'tset'"):
        wrong.fitting(("trajectories", "curvature"))
