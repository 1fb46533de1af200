"""What a task's content key depends on: everything that its result depends on, and nothing else."""

from dataclasses import replace

import pytest

from modescape.studies.abstract import Sizes, Task, content_keys
from modescape.studies.members import predict_members, train_members

FIRST = Task("first", train_members, {"member": 0, "epochs": 2})
SECOND = Task("second", predict_members, {"member": 0}, {"before": "first"})
SCOPE = {"seed": 0, "data": "digits"}


def keys(first=FIRST, second=SECOND, scope=SCOPE):
    return content_keys([first, second], scope)


def test_the_same_tasks_have_the_same_keys():
    assert keys() == keys()
    assert all(len(key) == 64 for key in keys().values())
    assert keys()["first"] != keys()["second"]
    assert keys(scope={"data": "digits", "seed": 0}) == keys()


@pytest.mark.parametrize(
    "changed",
    [
        {"first": replace(FIRST, arguments={"member": 1, "epochs": 2})},
        {"first": replace(FIRST, function=predict_members)},
        {"scope": {"seed": 1, "data": "digits"}},
    ],
    ids=["arguments", "function", "scope"],
)
def test_what_changes_a_task_changes_every_task_that_follows_from_it(changed):
    found = keys(**changed)
    assert found["first"] != keys()["first"]
    assert found["second"] != keys()["second"]


@pytest.mark.parametrize(
    "second",
    [
        replace(SECOND, inputs={}),
        replace(SECOND, inputs={"other": "first"}),
        replace(SECOND, arguments={"member": 0, "split": "test"}),
        replace(SECOND, function=train_members),
    ],
)
def test_what_changes_the_second_task_leaves_the_first_alone(second):
    found = keys(second=second)
    assert found["first"] == keys()["first"]
    assert found["second"] != keys()["second"]


def test_names_weights_and_tolerance_are_not_content():
    same = replace(FIRST, name="renamed", weight=77, unit="images", tolerant=True)
    assert content_keys([same], SCOPE)["renamed"] == keys()["first"]


def test_a_task_before_its_input_is_refused_by_name():
    with pytest.raises(ValueError, match="task second needs first, which does not come before it"):
        content_keys([SECOND, FIRST], SCOPE)


def test_a_result_inside_that_of_another_task_is_refused_by_name():
    inner = replace(FIRST, name="first/part")
    for tasks in ([FIRST, inner], [inner, FIRST]):
        with pytest.raises(ValueError, match="the result of task first/part would lie inside that of first"):
            content_keys(tasks, SCOPE)
    assert content_keys([FIRST, replace(FIRST, name="first-part/first")], SCOPE).keys() == {"first", "first-part/first"}


def test_a_phase_is_the_first_part_of_the_name():
    assert Task("train/member/3/epoch/2", train_members, {}).phase == "train"


@pytest.mark.parametrize(("examples", "batch", "steps"), [(100, 32, 3), (96, 32, 3), (10, 32, 1), (1, 1, 1)])
def test_steps_of_an_epoch_leave_the_rest_out(examples, batch, steps):
    assert Sizes({"train": examples}, batch).steps_per_epoch == steps
