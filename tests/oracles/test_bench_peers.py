"""The peers of the benchmark, installed: they do the same work, and find the same where it is the same."""

from dataclasses import replace

import pytest

from modescape.app.bench.assignment import Assignment
from modescape.app.bench.ours import Plane
from modescape.app.bench.peers import LossLandscapes, TorchEnsemble

WORK = Assignment("small_cnn", members=2, train=512, images=300, points=9, data_dir="/nowhere")


@pytest.mark.parametrize("network", ["small_cnn", "resnet20"])
def test_the_plane_is_the_very_plane_of_loss_landscapes(network):
    whole = Assignment(network, images=60, points=9, side=3, data_dir="/nowhere")
    for work in (whole, replace(whole, points=5)):
        ours, peer = Plane(work), LossLandscapes(work)
        assert ours.once() == peer.once() == work.points * 60
        # its points are reached by adding steps in place, so that rounding gathers over the plane
        assert ours.last.nll.tolist() == pytest.approx(peer.losses, rel=1e-3)
        assert float(ours.last.nll.max() - ours.last.nll.min()) > 0.01


def test_torchensemble_trains_as_many_images_of_members_that_differ():
    peer = TorchEnsemble(WORK)
    assert peer.once() == 2 * 512
    found = peer.found()
    assert 0 <= found["accuracy"] <= 1
    first, second = (dict(own.named_parameters()) for own in peer.model.estimators_)
    assert all(not first[name].equal(second[name]) for name in first)
