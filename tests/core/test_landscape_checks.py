"""What must hold before weights are moved."""

import threading

import pytest
import torch
from references.networks import Net
from torch import nn

from modescape.core.landscape.checks import require_alike, require_deterministic
from modescape.core.seeds import global_generator
from modescape.errors import NetworkError

EXAMPLES = torch.randn(3, 6, generator=torch.Generator().manual_seed(0))


def test_stacks_of_one_architecture_are_alike_whatever_their_lengths():
    require_alike({"a": torch.zeros(1, 3)}, {"a": torch.zeros(4, 3)}, "weights")


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"a": torch.zeros(1, 3)}, r"solutions of another architecture: .* the same tensors: \['b'\]"),
        ({"a": torch.zeros(1, 3), "b": torch.zeros(1, 2), "c": torch.zeros(1)}, r"\['c'\]"),
        ({"a": torch.zeros(1, 3), "b": torch.zeros(1, 2, 1)}, r"b has \(2,\) and \(2, 1\)"),
    ],
)
def test_another_architecture_is_told_by_its_first_tensor(other, words):
    with pytest.raises(ValueError, match=words):
        require_alike({"a": torch.zeros(1, 3), "b": torch.zeros(1, 2)}, other, "solutions")


class Noisy(nn.Module):
    """Noise from a generator of its own, which nobody's global state betrays."""

    def __init__(self):
        super().__init__()
        self.layer, self.chance = nn.Linear(6, 3), torch.Generator().manual_seed(0)

    def forward(self, inputs):
        return self.layer(inputs) + 1e-6 * torch.randn(len(inputs), 3, generator=self.chance)


def functional_dropout(rate):
    return Net(lambda n, x: nn.functional.dropout(n.a(x), rate, training=True), a=nn.Linear(6, 3))


def test_a_network_that_draws_is_refused():
    with pytest.raises(NetworkError, match=r"draws random numbers in evaluation mode.*use nn\.Dropout"):
        require_deterministic(functional_dropout(0.5), EXAMPLES)


def test_a_network_that_draws_is_refused_even_if_chance_changes_nothing():
    quiet = Net(lambda n, x: n.a(x) + 0 * torch.rand(()), a=nn.Linear(6, 3))
    with pytest.raises(NetworkError, match="draws random numbers"):
        require_deterministic(quiet, EXAMPLES)


def test_a_network_with_a_generator_of_its_own_is_refused():
    with pytest.raises(NetworkError, match="gives other logits when it is asked again"):
        require_deterministic(Noisy(), EXAMPLES)


def test_a_network_that_changes_its_inputs_is_asked_twice_the_same():
    before = EXAMPLES.clone()
    require_deterministic(nn.Sequential(nn.ReLU(inplace=True), nn.Linear(6, 3)), EXAMPLES)
    assert torch.equal(EXAMPLES, before)


@pytest.mark.parametrize(
    "module",
    [
        nn.Linear(6, 3),
        nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.Dropout(0.5), nn.Linear(5, 3)),
        Net(lambda n, x: n.a(x) * torch.tensor([1.0, torch.nan, torch.inf]), a=nn.Linear(6, 3)),
    ],
    ids=["linear", "batch norm and dropout modules", "numbers that are none"],
)
def test_a_function_of_weights_and_inputs_passes_and_is_left_alone(module):
    module.train()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    state = torch.get_rng_state()
    require_deterministic(module, EXAMPLES)
    assert not module.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())
    assert torch.equal(state, torch.get_rng_state())


def test_networks_that_other_threads_build_meanwhile_are_not_held_against_it():
    done, built = threading.Event(), []

    def build():
        while not done.is_set():
            with global_generator(1, "scratch"):
                built.append(nn.Linear(200, 200).weight[0, 0].item())

    thread = threading.Thread(target=build)
    thread.start()
    module = nn.Sequential(nn.Linear(6, 300), nn.ReLU(), nn.Linear(300, 300), nn.ReLU(), nn.Linear(300, 3))
    try:
        for _ in range(300):
            require_deterministic(module, EXAMPLES)
    finally:
        done.set()
        thread.join()
    assert len(built) > 1
