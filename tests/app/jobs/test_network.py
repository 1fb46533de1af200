"""A factory that cannot be used is refused before any training, in one line that says what to do."""

import hashlib
import sys
from pathlib import Path

import own_networks
import pytest
import torch

from modescape.app.jobs.network import Facts, builder, check, factory_digest, load_factory
from modescape.core.splits import Split, scaling_of
from modescape.errors import NetworkError
from modescape.studies.setup import NetworkChoice

INPUTS = torch.randint(0, 17, (6, 1, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
SPLIT = Split(INPUTS, torch.arange(6))


def checked(choice):
    build = builder(choice, (1, 8, 8), 10)
    return check(build, choice, SPLIT, scaling_of("standard", INPUTS), 10)


def own(name, **options):
    return NetworkChoice(factory=f"own_networks:{name}", options=options)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nowhere", "factory own_networks:nowhere: own_networks has no function nowhere"),
        ("NUMBER", "own_networks has no function NUMBER"),
        ("number", "factory own_networks:number returned int, expected a torch.nn.Module"),
        ("raises", "network own_networks:raises cannot be built: 'width'; check network.options"),
        ("needs", "cannot be built: needs() missing 1 required positional argument: 'width'"),
        ("few", "gives (4, 9) for 4 examples, but the data have 10 classes"),
        ("Pair", "gives tuple for 4 examples, but the data have 10 classes"),
        ("Noisy", "draws random numbers from torch's global generator in its forward pass; use nn.Dropout"),
        ("NoisyAlways", "draws random numbers from torch's global generator"),
        ("spoiled", "gives logits that are not finite at its initialisation"),
        ("no_weights", "has no parameters to train; check the factory"),
        ("misfit", "cannot read examples of shape (1, 8, 8): "),
        ("double", "own_networks:double"),
        ("half_double", "has parameters that are not float32; modescape trains in float32"),
    ],
)
def test_a_factory_that_cannot_be_used_is_told_in_one_line(name, said):
    with pytest.raises(NetworkError) as error:
        checked(own(name))
    message = str(error.value)
    assert said in message
    assert f"own_networks:{name}" in message
    assert "\n" not in message
    assert error.value.exit_code == 5


def test_a_factory_that_fits_is_counted_and_leaves_global_chance_alone():
    before = torch.get_rng_state()
    assert checked(own("flat", width=5)) == Facts(parameters=64 * 5 + 5 + 5 * 10 + 10, dropout=True, batch_norm=False)
    assert torch.equal(torch.get_rng_state(), before)


def test_networks_of_the_catalogue_are_built_for_the_data():
    small = {"channels": (2, 3)}
    assert checked(NetworkChoice(name="small_cnn", options=small)).dropout
    assert not checked(NetworkChoice(name="small_cnn", options={**small, "dropout": 0.0})).dropout
    assert checked(NetworkChoice(name="resnet20", options={"blocks": 1, "width": 2})).batch_norm
    with pytest.raises(NetworkError, match=r"network small_cnn cannot be built: .*too small for 4 poolings"):
        checked(NetworkChoice(name="small_cnn", options={"channels": (2, 2, 2, 2)}))
    with pytest.raises(NetworkError, match=r"network mlp cannot be built: .*unexpected keyword argument 'widht'"):
        checked(NetworkChoice(name="mlp", options={"widht": 3}))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "cannot import broken_net: ModuleNotFoundError"),
        ("def net(:\n", "cannot import broken_net: SyntaxError"),
        ("import nowhere_at_all\n", "cannot import broken_net: ModuleNotFoundError: No module named 'nowhere_at_all'"),
        ("raise RuntimeError('at import')\n", "cannot import broken_net: RuntimeError: at import"),
    ],
)
def test_a_factory_that_cannot_be_imported_is_told(tmp_path, monkeypatch, text, said):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "broken_net", raising=False)
    if text is not None:
        (tmp_path / "broken_net.py").write_text(text)
    with pytest.raises(NetworkError) as error:
        load_factory("broken_net:net")
    assert said in str(error.value)
    assert "check the name, or run from the folder that holds it" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_factory_in_the_current_folder_is_found_and_its_file_is_part_of_the_runs_identity(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    text = "from torch import nn\n\ndef net():\n    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))\n"
    (tmp_path / "found_here.py").write_text(text)
    try:
        assert checked(NetworkChoice(factory="found_here:net")).parameters == 650
        assert factory_digest("found_here:net") == hashlib.sha256(text.encode()).hexdigest()
    finally:
        sys.modules.pop("found_here", None)
    own_file = Path(own_networks.__file__).read_bytes()
    assert factory_digest("own_networks:flat") == hashlib.sha256(own_file).hexdigest()
