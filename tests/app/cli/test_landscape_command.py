"""``modescape landscape`` and its Python twin, as somebody with a trained network meets them."""

import json
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

import modescape
from modescape.app.cli.main import main
from modescape.app.runs.layout import Layout
from modescape.app.runs.tables_file import read_tables
from modescape.errors import DataError, NetworkError

MODULE = """
from torch import nn

def make_net(width=6):
    return nn.Sequential(nn.Flatten(), nn.Linear(8, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(width, 3))
"""
FEW = ("cross_sections.grid=7", "cross_sections.points=9", "cross_sections.train_examples=20")


def data(seed=0, examples=60):
    chance = np.random.default_rng(seed)
    targets = chance.integers(0, 3, examples)
    return chance.normal(size=(examples, 2, 4)) + targets[:, None, None], targets


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A folder with somebody's module, two trained networks and data."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    name = f"somebody_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    module = __import__(name)
    inputs, targets = data()
    np.savez("data.npz", inputs=inputs, targets=targets)
    for seed in range(2):
        torch.manual_seed(seed)
        network = module.make_net()
        optimiser = torch.optim.Adam(network.parameters(), 0.05)
        for _ in range(30):
            optimiser.zero_grad()
            nn.functional.cross_entropy(network(torch.tensor(inputs).float()), torch.tensor(targets)).backward()
            optimiser.step()
        save_file(network.state_dict(), f"w{seed}.safetensors")
    return module


@pytest.mark.filterwarnings("ignore:.*one set of examples")
def test_one_command_shows_the_landscape_of_ones_own_network(mine, tmp_path, capsys):
    command = ["landscape", "--model", f"{mine.__name__}:make_net", "--data", "data.npz", "--out", "land", "--json"]
    command += [part for setting in FEW for part in ("--set", setting)]
    command += ["--weights", "w0.safetensors", "--weights", "w1.safetensors", "--seed", "3"]
    with pytest.raises(SystemExit) as ended:
        main(command)
    assert not ended.value.code
    json.loads(capsys.readouterr().out)
    tables = read_tables(Layout(tmp_path / "land"), "cross_sections")
    assert tables["sections"]["section"].tolist() == ["random/0", "hessian/0", "line/0-1", "sector/oblique/0-1"]
    # The line's ends are the networks of the files.
    line = [r for r in tables["grid"].rows() if (r["section"], r["quantity"]) == ("line/0-1", "accuracy")]
    inputs, targets = (torch.tensor(part) for part in data())
    for place, file in ((0.0, "w0.safetensors"), (1.0, "w1.safetensors")):
        network = mine.make_net()
        network.load_state_dict(load_file(file))
        # Batch norm has statistics of its own at every point: of all sixty examples here.
        right = float((network(inputs.float()).argmax(-1) == targets).double().mean())
        near = min(line, key=lambda r: abs(r["a"] - place))
        assert near["value"] == pytest.approx(right, abs=0.02)
    page = (tmp_path / "land" / "report.html").read_text()
    assert "2 networks trained elsewhere" in page
    with pytest.raises(SystemExit) as again:
        main(command)
    assert not again.value.code


@pytest.mark.filterwarnings("ignore:.*one set of examples")
def test_the_python_twin_finds_what_the_command_finds(mine, tmp_path):
    weights = ["w0.safetensors", "w1.safetensors"]
    heard = []
    by_file = modescape.landscape(
        f"{mine.__name__}:make_net", weights, "data.npz", "files", settings=FEW, listen=heard.append
    )
    assert heard
    networks = []
    for path in weights:
        network = mine.make_net()
        network.load_state_dict(load_file(path))
        networks.append(network)
    weights = [networks[0], networks[1].state_dict()]
    in_memory = modescape.landscape(mine.make_net, weights, data(), "memory", settings=FEW)
    for name in ("section", "row", "column", "quantity", "evaluated"):
        assert by_file.tables["grid"][name].tolist() == in_memory.tables["grid"][name].tolist()
    np.testing.assert_array_equal(by_file.tables["grid"]["value"], in_memory.tables["grid"]["value"])
    assert in_memory.report.is_file()
    assert "were evaluated" in str(in_memory)


def test_what_cannot_be_is_told_before_anything_is_written(mine, tmp_path):
    model = f"{mine.__name__}:make_net"
    for arguments, error, message in (
        ((lambda: mine.make_net(), "w0.safetensors", "data.npz"), NetworkError, "cannot be found again by name"),
        ((model, 3, "data.npz"), NetworkError, "weights are int"),
        ((model, "w0.safetensors", 7), DataError, "neither a dataset's name"),
        ((model, ["w0.safetensors", "data.npz"], "data.npz"), NetworkError, "an unknown inputs"),
    ):
        with pytest.raises(error, match=message):
            modescape.landscape(*arguments, out="nothing")
    assert not Layout(tmp_path / "nothing").identity.exists()
    with pytest.raises(AttributeError, match="no attribute 'landscapes'"):
        _ = modescape.landscapes


def test_a_grid_too_large_for_the_disk_is_refused_before_anything_is_trained(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("modescape.app.jobs.perform.free_bytes", lambda root: 200 * 2**20)
    command = ["study", "cross_sections", "smoke", "--out", "large", "--set", "cross_sections.grid=501"]
    with pytest.raises(SystemExit) as ended:
        main(command)
    assert ended.value.code == 6
    assert "MiB more in large, there are 200 MiB free; free some space" in capsys.readouterr().err
    assert not Layout(tmp_path / "large").results.exists()
