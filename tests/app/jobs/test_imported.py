"""Weights that were trained elsewhere: read without running code, refused with the tensor that does not fit."""

import pickle

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from modescape.app.jobs.imported import read_weights
from modescape.errors import NetworkError


def build():
    return nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(3 * 36, 10))


def state(seed=0):
    torch.manual_seed(seed)
    network = build()
    network[1].running_mean += 0.25
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod."])
def test_what_was_saved_is_what_is_read(tmp_path, prefix):
    wanted = state()
    named = {prefix + name: tensor for name, tensor in wanted.items()}
    save_file(named, tmp_path / "w.safetensors")
    np.savez(tmp_path / "w.npz", **{name: tensor.numpy() for name, tensor in named.items()})
    digests = set()
    for name in ("w.safetensors", "w.npz"):
        weights, digest = read_weights(tmp_path / name, build)
        found = {**weights.params, **weights.buffers}
        assert found.keys() == wanted.keys()
        assert all(torch.equal(found[n][0], tensor) for n, tensor in wanted.items())
        digests.add(digest)
    assert len(digests) == 1
    save_file(state(1), tmp_path / "other.safetensors")
    assert read_weights(tmp_path / "other.safetensors", build)[1] not in digests


def test_counts_of_training_steps_may_be_missing(tmp_path):
    wanted = state()
    save_file({n: t for n, t in wanted.items() if n != "1.num_batches_tracked"}, tmp_path / "old.safetensors")
    weights, _ = read_weights(tmp_path / "old.safetensors", build)
    assert torch.equal(weights.buffers["1.running_mean"][0], wanted["1.running_mean"])


def test_weights_that_do_not_fit_are_refused_with_the_tensor_at_fault(tmp_path):
    def refusal(change):
        tensors = state()
        change(tensors)
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, tmp_path / "bad.safetensors")
        with pytest.raises(NetworkError) as refused:
            read_weights(tmp_path / "bad.safetensors", build)
        assert "bad.safetensors" in str(refused.value)
        return str(refused.value)

    assert "no 3.bias" in refusal(lambda t: t.pop("3.bias"))
    assert "an unknown extra" in refusal(lambda t: t.update(extra=torch.ones(1)))
    assert "0.weight has shape [2, 1, 3, 3], in the network [3, 1, 3, 3]" in refusal(
        lambda t: t.update({"0.weight": t["0.weight"][:2]})
    )
    assert "3.weight has numbers that are not finite" in refusal(lambda t: t["3.weight"].fill_(torch.nan))


def test_a_file_that_would_have_to_run_code_is_refused_and_runs_none(tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    (tmp_path / "trap.pt").write_bytes(pickle.dumps(Trap()))
    np.savez(tmp_path / "trap.npz", weight=np.array([Trap()], dtype=object))
    (tmp_path / "trap.safetensors").write_bytes(pickle.dumps(Trap()))
    (tmp_path / "short.safetensors").write_bytes(b"\x08")
    for name in ("trap.pt", "trap.npz", "trap.safetensors", "short.safetensors"):
        with pytest.raises(NetworkError, match=r"holds no weights that can be read without running code.*save_file"):
            read_weights(tmp_path / name, build)
    assert not (tmp_path / "sprung").exists()
    with pytest.raises(NetworkError, match=r"cannot read the weights .*none.safetensors"):
        read_weights(tmp_path / "none.safetensors", build)
