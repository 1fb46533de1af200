"""Drawing from subspaces: which are chosen and which refused, what a draw depends on, how many work at a time."""

from dataclasses import replace

import pytest
import torch
from references import toy

from modescape.core.engine.engine import Engine
from modescape.core.engine.events import Advanced, Finished
from modescape.core.engine.way import Room
from modescape.core.splits import Split
from modescape.core.subspaces.catalogue import EXTRAS, SUBSPACES
from modescape.core.subspaces.keep import Keep
from modescape.core.subspaces.low_rank_gaussian import LowRankGaussian
from modescape.core.subspaces.random_pca import RandomPCA
from modescape.core.subspaces.swag import SWAG
from modescape.core.subspaces.weight_average import WeightAverage
from modescape.core.training.settings import Checkpoints
from modescape.errors import SettingsError
from modescape.studies.abstract import Job, Result, Sizes, content_keys
from modescape.studies.diversity_accuracy import DiversityAccuracy
from modescape.studies.drawing import Sampler, chosen_subspaces, in_turns, part_of, require_validation, some_examples
from modescape.studies.members import pack, scratch
from modescape.studies.setup import SubspaceSettings
from modescape.studies.subspace_embedding import SubspaceEmbedding

SIZES = Sizes({"train": 64, "test": 90}, batch=16, dropout=True)
WITHOUT_DROPOUT = replace(SIZES, dropout=False)
ALL = [name for name in SUBSPACES if name not in EXTRAS]


def setup_of(members=2, epochs=6, checkpoints=None, **subspaces):
    setup = toy.context_of(members).setup
    training = replace(setup.training, epochs=epochs, checkpoints=checkpoints or Checkpoints())
    return replace(setup, training=training, subspaces=SubspaceSettings(**toy.SETTINGS | subspaces))


def test_all_that_fit_are_chosen_and_extras_are_not():
    assert chosen_subspaces(None, setup_of(), SIZES) == ALL
    assert "laplace" not in ALL
    assert chosen_subspaces(None, setup_of(), WITHOUT_DROPOUT) == [n for n in ALL if n != "activation_dropout"]


def test_what_needs_more_checkpoints_than_there_are_is_left_out():
    # four epochs give five checkpoints; swag here wants six of them
    wanting = {"swag": SWAG(rank=2, last=6)}
    assert chosen_subspaces(None, setup_of(epochs=4, **wanting), SIZES) == [n for n in ALL if n != "swag"]
    assert "swag" in chosen_subspaces(None, setup_of(epochs=5, **wanting), SIZES)
    few = chosen_subspaces(None, setup_of(checkpoints=Checkpoints(every=99)), SIZES)
    assert few == ["random_direction", "weight_dropout", "activation_dropout", "random_pca"]


def test_those_asked_for_come_once_in_the_order_of_the_catalogue():
    assert chosen_subspaces(("swag", "swag", "random_direction"), setup_of(), SIZES) == [
        "random_direction", "swag",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("wanted", "sizes", "words"),
    [
        (("swagg",), SIZES, r"there is no subspace 'swagg'; choose from random_direction, .*, laplace"),
        (
            ("laplace",),
            SIZES,
            r"subspace laplace: it needs an optional library, .*: pip install 'modescape\[laplace\]'",
        ),
        ((), SIZES, r"subspaces is empty; choose from random_direction, .* or leave it out for all"),
        (
            ("random_direction", "activation_dropout"),
            WITHOUT_DROPOUT,
            r"subspace activation_dropout: the network toy:build has no dropout layers.*take weight_dropout",
        ),
        (
            ("low_rank_gaussian",),
            SIZES,
            r"subspace low_rank_gaussian: it needs 8 checkpoints, the trajectories have 7; "
            r"lower subspaces.low_rank_gaussian.last .*training.checkpoints",
        ),
    ],
)
def test_what_was_asked_for_and_cannot_be_is_refused_by_name(wanted, sizes, words):
    setup = setup_of(low_rank_gaussian=LowRankGaussian(rank=2, last=8))
    with pytest.raises(ValueError, match=words):
        chosen_subspaces(wanted, setup, sizes)


def test_a_threshold_needs_examples_to_score_on():
    with pytest.raises(ValueError, match=r"keep.least = 0.7 needs a validation split, and data.validation is 0"):
        require_validation(Keep(least=0.7), SIZES)
    require_validation(Keep(least=0.7), Sizes({"train": 9, "test": 9, "validation": 9}, batch=3))
    require_validation(Keep(), SIZES)


@pytest.mark.parametrize("study", [DiversityAccuracy(), SubspaceEmbedding(perplexities=(5.0,))])
def test_a_study_refuses_before_anything_is_trained(study):
    for changed, words in (
        ({"keep": Keep(least=0.7)}, "validation"),
        ({"subspaces": ("nobody",)}, "no subspace 'nobody'"),
        ({"split": "validation"}, r"no split 'validation'; choose train, test"),
    ):
        with pytest.raises(ValueError, match=words):
            replace(study, **changed).tasks(setup_of(), SIZES)
    with pytest.raises(ValueError, match=r"training.members .*at least 2"):
        study.tasks(setup_of(members=1), SIZES)
    assert study.tasks(setup_of(), SIZES)


@pytest.mark.parametrize(
    ("kind", "settings", "words"),
    [
        (DiversityAccuracy, {"bases": 0}, "bases must be at least 1"),
        (DiversityAccuracy, {"count": 0}, "count must be at least 1"),
        (DiversityAccuracy, {"ensemble": 1}, "ensemble must be at least 2"),
        (DiversityAccuracy, {"late": 1}, "late must be at least 2"),
        (DiversityAccuracy, {"tolerance": 1.0}, "tolerance must lie in"),
        (DiversityAccuracy, {"tolerance": -0.1}, "tolerance must lie in"),
        (DiversityAccuracy, {"draws": 99}, "draws must be at least 100"),
        (SubspaceEmbedding, {"trajectories": 1}, "trajectories must be at least 2"),
        (SubspaceEmbedding, {"count": 0}, "count must be at least 1"),
        (SubspaceEmbedding, {"seeds": 0}, "seeds must be at least 1"),
        (SubspaceEmbedding, {"examples": 0}, "examples must be at least 1"),
        (SubspaceEmbedding, {"perplexities": (0.0,)}, "perplexities must be above 0"),
    ],
)
def test_impossible_settings_are_refused(kind, settings, words):
    with pytest.raises(ValueError, match=words):
        kind(**settings)


def test_a_perplexity_must_be_below_the_number_of_points():
    # two trajectories of seven checkpoints, each with five drawn members, of which keeping may leave one
    study, sizes = SubspaceEmbedding(count=5), replace(SIZES, examples={**SIZES.examples, "validation": 9})
    for keep, points in ((Keep(), 24), (Keep(least=0.5), 16)):
        assert replace(study, keep=keep, perplexities=(points - 0.5,)).tasks(setup_of(), sizes)
        with pytest.raises(ValueError, match=rf"perplexity must be below the number of points, {points}; got"):
            replace(study, keep=keep, perplexities=(float(points),)).tasks(setup_of(), sizes)


def test_draws_are_tasks_with_the_name_of_what_is_drawn():
    setup = setup_of(members=3)
    tasks = DiversityAccuracy(subspaces=("swag",), bases=2, count=7, ensemble=3).tasks(setup, SIZES)
    drawing = [task for task in tasks if task.phase == "draw"]
    purposes = ("draw/plane/swag/member/{}", "draw/ensemble/swag/member/{}")
    assert sorted(t.name for t in drawing) == sorted(p.format(m) for p in purposes for m in (0, 1))
    assert {(task.unit, task.weight) for task in drawing} == {("members", 7), ("members", 3)}
    for task in drawing:
        own = {source for source in task.inputs.values() if source.startswith("train/")}
        assert own == {f"train/member/{task.arguments['member']}/epoch/{end}" for end in (4, 6)}
        scales = {"plane_scale": 10.0} if "plane" in task.name else {"scale": 1.0, "uniform": False}
        assert task.arguments["settings"] == {**scales, "rank": 3, "last": 5}
    assert [task.phase for task in tasks] == ["train"] * 6 + ["predict"] * 3 + ["draw"] * 4 + ["measure"]
    assert len(set(content_keys(tasks, {}).values())) == len(tasks)


def test_there_are_as_many_bases_as_there_are_members():
    tasks = DiversityAccuracy(subspaces=("swag",), bases=9).tasks(setup_of(members=2), SIZES)
    assert {task.arguments["member"] for task in tasks if task.phase == "draw"} == {0, 1}
    embedding = SubspaceEmbedding(subspaces=("swag",), trajectories=9).tasks(setup_of(members=2), SIZES)
    assert {task.arguments["member"] for task in embedding if task.phase == "draw"} == {0, 1}


STUDIES = [DiversityAccuracy(), SubspaceEmbedding(perplexities=(5.0,))]


def changed_draws(study, setup, other_study, other_setup):
    """Draw tasks whose content key is another one."""
    first, second = (
        content_keys(s.tasks(at, SIZES), {"data": "toy"}) for s, at in ((study, setup), (other_study, other_setup))
    )
    assert first.keys() == second.keys()
    return {name for name, key in first.items() if key != second[name] and name.startswith("draw/")}


@pytest.mark.parametrize("study", STUDIES)
def test_settings_of_a_subspace_change_its_own_draws_alone(study):
    other = setup_of(weight_average=WeightAverage(last=4))
    assert other != setup_of()
    changed = changed_draws(study, setup_of(), study, other)
    tasks = study.tasks(setup_of(), SIZES)
    own = {t.name for t in tasks if t.phase == "draw" and t.arguments["subspace"] == "weight_average"}
    assert changed == own != set()


@pytest.mark.parametrize(("other", "purpose"), [({"scale": 0.5}, "ensemble"), ({"plane_scale": 5.0}, "plane")])
def test_a_scale_changes_the_draws_at_that_scale_alone(other, purpose):
    changed = changed_draws(STUDIES[0], setup_of(), STUDIES[0], setup_of(swag=SWAG(rank=3, last=5, **other)))
    assert changed == {f"draw/{purpose}/swag/member/{m}" for m in (0, 1)}


@pytest.mark.parametrize(
    ("study", "changes"),
    [
        (STUDIES[0], {"draws": 500}),
        (STUDIES[0], {"tolerance": 0.2}),
        (STUDIES[0], {"late": 3}),
        (STUDIES[1], {"perplexities": (4.0,)}),
        (STUDIES[1], {"seeds": 5}),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_is_asked_of_drawn_members_draws_no_others(study, changes):
    asked = replace(study, **changes)
    first, second = (
        {n: k for n, k in content_keys(s.tasks(setup_of(), SIZES), {}).items() if n.startswith(("draw", "measure"))}
        for s in (study, asked)
    )
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == [n for n in first if n.startswith("measure")]


@pytest.mark.parametrize(("study", "purpose"), [(STUDIES[0], "plane"), (STUDIES[1], "embedding")])
def test_drawing_more_members_is_another_draw(study, purpose):
    changed = changed_draws(study, setup_of(), replace(study, count=9), setup_of())
    assert changed == {f"draw/{purpose}/{name}/member/{m}" for name in ALL for m in (0, 1)}


@pytest.mark.parametrize("cores", [1, 2, 3, 20])
def test_no_more_are_at_work_than_there_are_cores(cores):
    context, alive, most = replace(toy.context_of(2), engine=Engine(room=Room(cores))), set(), []

    def work(number):
        alive.add(number)
        most.append(len(alive))
        for _ in range(3):
            yield 1
        alive.remove(number)
        return Result({}, {"number": number})

    events = list(in_turns(context, [work(number) for number in range(7)]))
    assert max(most) <= cores
    done = {event.index: event.result.facts["number"] for event in events if isinstance(event, Finished)}
    assert done == {number: number for number in range(7)}
    advanced = [event.index for event in events if isinstance(event, Advanced)]
    assert sorted(advanced) == sorted(list(range(7)) * 3)


def test_a_choice_of_examples_repeats_and_belongs_to_the_root_seed():
    context = toy.context_of(2)
    first, again = some_examples(context, "test", 40), some_examples(context, "test", 40)
    assert torch.equal(first, again)
    assert len(set(first.tolist())) == 40
    assert first.tolist() == sorted(first.tolist())
    assert first.min() >= 0
    assert first.max() < 90
    other = replace(context, setup=replace(context.setup, seed=1))
    assert not torch.equal(some_examples(other, "test", 40), first)
    fewer = some_examples(context, "test", 10)
    assert set(fewer.tolist()) < set(first.tolist())
    assert some_examples(context, "train", 40).max() < 64


@pytest.mark.parametrize("count", [None, 90, 1000])
def test_all_examples_are_chosen_where_there_are_no_more(count):
    assert some_examples(toy.context_of(2), "test", count).tolist() == list(range(90))


def test_part_of_a_split_keeps_inputs_and_targets_together():
    split = Split(torch.arange(10.0)[:, None, None], torch.arange(10))
    part = part_of(split, torch.tensor([7, 2]))
    assert part.inputs.flatten().tolist() == [7.0, 2.0]
    assert part.targets.tolist() == [7, 2]


def job_of(context, name, steps):
    """A job to draw from a subspace around member 0, whose trajectory stays where it began."""
    module = scratch(context)
    tensors = {f"param.{n}": t.detach().expand(len(steps), *t.shape) for n, t in module.named_parameters()}
    tensors |= {f"buffer.{n}": t.detach().expand(len(steps), *t.shape) for n, t in module.named_buffers()}
    result = Result({"checkpoints": tensors}, {"steps": steps})
    arguments = {"purpose": "plane", "subspace": name, "member": 0, "count": 2}
    return Job(arguments, {"train/member/0/epoch/6": lambda: result})


@pytest.mark.parametrize(
    ("name", "steps", "words"),
    [
        ("swag", [0, 4], r"swag needs 5 checkpoints, the trajectory member/0 has 2"),
        ("low_rank_gaussian", [0, 4, 8, 12, 16], r"span only 0 axes; lower `rank`"),
    ],
)
def test_a_subspace_that_cannot_be_fitted_is_told_with_its_member(name, steps, words):
    context = toy.context_of(2)
    with pytest.raises(SettingsError, match=rf"^subspace {name} around member 0: .*{words}"):
        _ = Sampler(context, job_of(context, name, steps)).state


def test_samples_that_score_too_low_to_be_fitted_are_told_with_their_member():
    context = toy.context_of(2, validation=40, random_pca=RandomPCA(rank=2, samples=4, keep=Keep(least=1.0, tries=2)))
    with pytest.raises(SettingsError, match=r"^subspace random_pca around member 0: random_pca: none of 8 drawn"):
        _ = Sampler(context, job_of(context, "random_pca", [0])).state


def test_drawing_leaves_what_it_is_drawn_from_as_it_was():
    context = toy.context_of(2)
    job = job_of(context, "weight_dropout", [0])
    before = {n: t.clone() for n, t in job.inputs["train/member/0/epoch/6"]().files["checkpoints"].items()}
    first, again = (list(Sampler(context, job).drawn(context.splits["test"], [0.1, 0.5], Keep())) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], first[1])
    after = job.inputs["train/member/0/epoch/6"]().files["checkpoints"]
    assert all(torch.equal(after[n], before[n]) for n in before)
    assert set(before) == set(pack(Sampler(context, job).state))
