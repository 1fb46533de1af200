"""What drawn members are compared with: predictions by statistics that are as fresh as their own."""

from dataclasses import replace

import pytest
from references import toy
from torch import nn

from modescape.core.evaluation import STATISTICS_CHUNK
from modescape.core.subspaces.keep import Keep
from modescape.core.subspaces.random_direction import RandomDirection
from modescape.core.subspaces.random_pca import RandomPCA
from modescape.errors import SettingsError
from modescape.studies.diversity_accuracy import DiversityAccuracy
from modescape.studies.members import STATISTICS, moved_prediction_tasks, prediction_name, prediction_tasks
from modescape.studies.subspace_embedding import SubspaceEmbedding
from modescape.studies.trajectories import Trajectories

STUDY = DiversityAccuracy(subspaces=("random_direction",), count=3, ensemble=2, draws=100)


def rows_of(tables, kind):
    return [row for row in tables["plane"].rows() if row["kind"] == kind]


def test_a_cloud_at_scale_zero_is_its_base_though_the_network_has_batch_norm():
    context = toy.context_of(2, random_direction=RandomDirection(scale=0.0, plane_scale=0.0))
    _, tables = toy.performed(context, STUDY)
    rows = rows_of(tables, "random_direction")
    assert len(rows) == 6
    assert {row["disagreement"] for row in rows} == {row["total_variation"] for row in rows} == {0.0}
    bases = {(row["origin"], row["accuracy"]) for row in rows_of(tables, "base")}
    assert {(row["origin"], row["accuracy"]) for row in rows} == bases


def test_only_networks_with_batch_norm_are_predicted_anew():
    for normalised in (False, True):
        context = toy.context_of(2, normalised=normalised)
        sizes = toy.sizes_of(context)
        assert sizes.batch_norm == normalised
        plain = {task.name: task for task in prediction_tasks(context.setup, sizes, "test")}
        moved = moved_prediction_tasks(context.setup, sizes, "test")
        assert moved.keys() == plain.keys() == {prediction_name(member, "test") for member in (0, 1)}
        if not normalised:
            assert moved == plain
        for name, task in moved.items():
            assert (task.name == name) == (not normalised)
            assert task.arguments.get("fresh", False) == normalised


def test_fresh_statistics_come_from_batches_of_one_size():
    assert STATISTICS % STATISTICS_CHUNK == 0


def test_a_subspace_that_keeps_by_a_score_needs_a_validation_split_before_any_training():
    context = toy.context_of(2, random_pca=RandomPCA(rank=2, samples=4, keep=Keep(least=0.5)))
    study = replace(STUDY, subspaces=("random_pca",))
    with pytest.raises(ValueError, match=r"subspaces.random_pca.keep.least needs a validation split"):
        study.tasks(context.setup, toy.sizes_of(context))
    held_out = toy.context_of(2, validation=30, random_pca=RandomPCA(rank=2, samples=4, keep=Keep(least=0.5)))
    assert study.tasks(held_out.setup, toy.sizes_of(held_out))


class Idle(nn.Sequential):
    """A network that has dropout and does not use it."""

    def __init__(self):
        super().__init__(nn.Flatten(), nn.Linear(2, 3))
        self.unused = nn.Dropout(0.5)

    def forward(self, values):
        return self[1](self[0](values))


def test_dropout_that_no_example_passes_is_told_with_subspace_and_member():
    context = replace(toy.context_of(2), build=Idle)
    study = replace(STUDY, subspaces=("activation_dropout",))
    with pytest.raises(SettingsError, match=r"subspace activation_dropout around member 0: .*dropout layers"):
        toy.performed(context, study)


def test_a_member_so_far_out_that_it_predicts_nothing_is_told_and_not_counted():
    context = toy.context_of(2, normalised=False, random_direction=RandomDirection(plane_scale=1e30))
    with pytest.raises(SettingsError, match=r"random_direction around member 0: .*not finite; lower .*plane_scale"):
        toy.performed(context, STUDY)


@pytest.mark.parametrize("study", [Trajectories, SubspaceEmbedding])
def test_two_equal_perplexities_are_refused(study):
    with pytest.raises(ValueError, match=r"perplexities must differ, got \[5.0, 5.0\]"):
        study(perplexities=(5.0, 5.0))
    assert study(perplexities=(5.0, 6.0)).perplexities == (5.0, 6.0)
