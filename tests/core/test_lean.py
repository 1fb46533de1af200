"""The lean network against the plain one, one member after another; and when there is none."""

import threading

import pytest
import torch
from references.networks import IMAGES, NETWORKS, VECTORS, Net, built, conv, examples, head, members, slow
from torch import nn

from modescape.core.models import tracing
from modescape.core.models.dropout import hold_dropout
from modescape.core.models.lean import lean
from modescape.core.models.plain_cnn import small_cnn
from modescape.core.models.resnet20 import resnet20
from modescape.core.weights import Weights, load_into, of_module


def fast(found, weights, inputs):
    made, rows = found.weights(weights), []
    for member in range(len(weights)):
        load_into(found.module, made, member)
        with torch.no_grad():
            rows.append(found.module(inputs.clone()))
    return torch.stack(rows)


@pytest.mark.filterwarnings("ignore:Lazy modules")
@pytest.mark.parametrize("name", NETWORKS)
def test_the_lean_network_predicts_as_the_plain_one_member_by_member(name):
    module, shape, folds = built(name)
    found, weights, inputs = lean(module, examples(shape)), members(module), examples(shape, 9, 5)
    assert found.reason is None
    assert len(found.folds) == folds
    expected = slow(module, weights, inputs)
    # float64 sums of at most some hundred numbers, in another order: 1e-13 of the largest
    assert (fast(found, weights, inputs) - expected).abs().max() < 1e-12 * expected.abs().max()
    assert (expected[0] - expected[1]).abs().max() > 0.01 * expected.abs().max()


@pytest.mark.filterwarnings("ignore:Lazy modules")
@pytest.mark.parametrize("name", NETWORKS)
def test_the_network_given_stays_as_it_is(name):
    module, shape, _ = built(name)
    module.train()
    before = {key: tensor.clone() for key, tensor in module.state_dict().items()}
    layers, random = list(module.modules()), torch.get_rng_state()
    found = lean(module, examples(shape))
    assert list(module.modules()) == layers
    assert all(layer.training for layer in layers)
    after = module.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[key], before[key]) for key in before)
    assert torch.equal(torch.get_rng_state(), random)
    own = {tensor.data_ptr() for tensor in module.parameters()}
    assert own.isdisjoint(tensor.data_ptr() for tensor in found.module.parameters())
    inputs = examples(shape, 5)
    expected = module.eval()(inputs)
    # at once with the weights that the network has
    assert (found.module(inputs) - expected).abs().max() < 1e-12 * expected.abs().max()


def test_dropout_and_batch_norm_are_gone_and_relu_works_in_place_where_nobody_else_reads():
    found = lean(resnet20(IMAGES, 4, 1, 4), examples(IMAGES).float())
    layers = [type(layer) for layer in found.module.modules()]
    assert nn.BatchNorm2d not in layers
    assert [node.target for node in found.module.graph.nodes].count(torch.relu_) == 7
    found = lean(small_cnn(IMAGES, 4, (4, 6), 0.3), examples(IMAGES).float())
    assert nn.Dropout not in [type(layer) for layer in found.module.modules()]
    shared = Net(lambda n, x: n.head((v := n.a(x)) + torch.relu(v)), a=conv(), head=head())
    found = lean(shared, examples(IMAGES).float())
    assert torch.relu_ not in [node.target for node in found.module.graph.nodes]
    assert found.reason is None


@pytest.mark.parametrize("turn", [0, 1])
def test_held_masks_stay_with_their_members(turn):
    torch.manual_seed(0)
    drop = nn.Dropout(0.4)
    module = nn.Sequential(nn.Linear(6, 5), drop, nn.ReLU(), nn.Linear(5, 5), drop, nn.Linear(5, 3)).double()
    hold_dropout(module, examples(VECTORS)).double()
    # as after a pass that broke off between the two uses
    module[1].turn = turn
    found, weights = lean(module, examples(VECTORS)), members(module)
    assert found.reason is None
    assert {"1.mask0", "1.mask1"} <= set(found.sources.values())
    expected = slow(module, weights, examples(VECTORS, 7, 5))
    assert (fast(found, weights, examples(VECTORS, 7, 5)) - expected).abs().max() < 1e-12 * expected.abs().max()
    only = {
        name: tensor if "mask" in name else tensor[:1].expand_as(tensor) for name, tensor in weights.buffers.items()
    }
    shared = {name: tensor[:1].expand_as(tensor) for name, tensor in weights.params.items()}
    masks = found.weights(Weights(shared, only, weights.origin))
    strides = {name: tensor.stride(0) for name, tensor in {**masks.params, **masks.buffers}.items()}
    assert {name for name, stride in strides.items() if stride} == {"network.1.mask0", "network.1.mask1"}


class Branching(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(6, 3), nn.Linear(6, 3)

    def forward(self, inputs):
        return self.a(inputs) if inputs.sum() > 0 else self.b(inputs)


def hooked():
    module = nn.Sequential(nn.Linear(6, 3), nn.ReLU())
    module[0].register_forward_hook(lambda layer, given, value: 2 * value)
    return module


class Locked(nn.Linear):
    def __init__(self):
        super().__init__(6, 3)
        self.lock = threading.Lock()


class Baked(nn.Module):
    """Reads a buffer past torch, so that a graph has its value and not its name."""

    def __init__(self):
        super().__init__()
        self.a = nn.Linear(6, 3)
        self.register_buffer("extra", torch.full((3,), 2.0))

    def forward(self, inputs):
        return self.a(inputs) + self._buffers["extra"] * 3


class Once(nn.Module):
    """Its graph is right for as many examples as it is shown."""

    def __init__(self, count=4):
        super().__init__()
        self.a, self.count = nn.Linear(6, 3), count

    def forward(self, inputs):
        values = self.a(inputs)
        return values * 2 if isinstance(values, torch.Tensor) and len(values) != self.count else values


FALLING_BACK = {
    "branching": (Branching, "TraceError"),
    "hook": (hooked, "a hook on Linear would not be called"),
    "baked": (Baked, "its graph gives logits that differ by"),
    "batch size": (Once, "its graph gives logits that differ by"),
    "no copy": (Locked, "cannot pickle"),
}


@pytest.mark.parametrize("name", FALLING_BACK)
def test_a_network_that_no_graph_can_stand_for_predicts_itself_and_the_reason_is_told(name):
    build, why = FALLING_BACK[name]
    torch.manual_seed(0)
    module = build().double()
    found, weights = lean(module, examples(VECTORS)), members(module)
    assert why in found.reason
    assert (found.module is module) == (name == "no copy")
    assert not found.folds
    for count in (4, 5):
        inputs = examples(VECTORS, count, 5)
        assert torch.equal(fast(found, weights, inputs), slow(module, weights, inputs))
    assert found.upstream == {*weights.params, *weights.buffers}


def test_logits_that_are_not_finite_prove_nothing():
    module = nn.Linear(6, 3)
    nn.init.constant_(module.weight, torch.inf)
    assert "not finite" in lean(module, examples(VECTORS).float()).reason


def chain():
    torch.manual_seed(0)
    return nn.Sequential(conv(), nn.BatchNorm2d(5), nn.ReLU(), head()).double()


def one_moving(module, *moving):
    weights = members(module)
    expanded = {
        kind: {n: t if n in moving else t[:1].expand_as(t) for n, t in getattr(weights, kind).items()}
        for kind in ("params", "buffers")
    }
    return Weights(expanded["params"], expanded["buffers"], weights.origin)


@pytest.mark.parametrize(
    ("moving", "expected"),
    [
        ("0.weight", {"0.weight"}),
        ("0.bias", {"0.bias"}),
        ("1.bias", {"0.bias"}),
        ("1.running_mean", {"0.bias"}),
        ("1.weight", {"0.weight", "0.bias"}),
        ("1.running_var", {"0.weight", "0.bias"}),
        ("1.num_batches_tracked", set()),
        ("3.1.weight", {"3.1.weight"}),
    ],
)
def test_what_all_members_share_is_kept_once(moving, expected):
    module = chain()
    found, weights = lean(module, examples(IMAGES)), one_moving(module, moving)
    made = found.weights(weights)
    apart = {name for name, tensor in {**made.params, **made.buffers}.items() if tensor.stride(0) != 0}
    assert apart == {f"network.{name}" for name in expected}
    logits = slow(module, weights, examples(IMAGES, 5, 5))
    assert (fast(found, weights, examples(IMAGES, 5, 5)) - logits).abs().max() < 1e-12 * logits.abs().max()


def test_a_stack_is_folded_as_its_members_are_one_by_one_bit_for_bit():
    module = chain().float().to(memory_format=torch.channels_last)
    found, weights = lean(module, examples(IMAGES).float()), members(module)
    weights = Weights(
        {n: t.contiguous().requires_grad_() for n, t in weights.params.items()}, weights.buffers, (0,) * 3
    )
    made = found.weights(weights)
    for member in range(3):
        alone = found.weights(weights[member])
        assert all(torch.equal(made.params[name][member], alone.params[name][0]) for name in made.params)
    # rows lie as the kernels want them
    assert made.params["network.0.weight"][1].is_contiguous(memory_format=torch.channels_last)
    assert made.params["network.3.1.weight"][1].is_contiguous()
    assert made.origin == weights.origin
    assert not any(tensor.requires_grad for tensor in made.params.values())


def test_rounding_happens_once():
    """Folded in float64 and rounded: half a unit in the last place of float32."""
    module = chain().float()
    found, weights = lean(module, examples(IMAGES).float()), members(module)
    params, buffers = weights.params, weights.buffers
    factor = params["1.weight"].double() / (buffers["1.running_var"].double() + 1e-5).sqrt()
    exact = params["0.weight"].double() * factor[:, :, None, None, None]
    assert torch.equal(found.weights(weights).params["network.0.weight"], exact.float())


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (chain, {"0.weight", "0.bias"}),
        (lambda: nn.Sequential(head(3), nn.Linear(4, 4)), set()),
        (
            lambda: nn.Sequential(nn.BatchNorm2d(3), conv(), nn.BatchNorm2d(5), head()),
            {"0.weight", "0.bias", "1.weight", "1.bias"},
        ),
    ],
)
def test_statistics_are_decided_by_what_stands_before_a_batch_norm(build, expected):
    assert lean(build().double(), examples(IMAGES)).upstream == expected


class OwnNorm(nn.BatchNorm2d):
    """A batch norm that is traced through."""

    def forward(self, inputs):
        own = (self.running_mean, self.running_var, self.weight, self.bias)
        return nn.functional.batch_norm(inputs, *own, self.training, 0.1, self.eps)


def test_a_batch_norm_that_is_no_layer_of_the_graph_may_depend_on_anything():
    module = nn.Sequential(conv(), nn.BatchNorm2d(5), conv(5, 5), OwnNorm(5), nn.ReLU(), head()).double()
    found, weights = lean(module, examples(IMAGES)), members(module)
    assert found.reason is None
    assert found.upstream == {*weights.params, *weights.buffers}
    expected = slow(module, weights, examples(IMAGES, 5, 5))
    assert (fast(found, weights, examples(IMAGES, 5, 5)) - expected).abs().max() < 1e-12 * expected.abs().max()


def test_weights_of_another_network_are_refused_by_name():
    module = chain()
    found = lean(module, examples(IMAGES))
    other = of_module(nn.Sequential(conv(), nn.BatchNorm2d(5)), 0)
    with pytest.raises(ValueError, match=r"do not have the same tensors: \['3.1.bias', '3.1.weight'\]"):
        found.weights(other)
    larger = of_module(nn.Sequential(conv(3, 6), nn.BatchNorm2d(6), nn.ReLU(), head(6)), 0)
    with pytest.raises(ValueError, match=r"0.weight has shape \(5, 3, 3, 3\) in the network, \(6, 3, 3, 3\) in the w"):
        found.weights(larger)
    with pytest.raises(ValueError, match="at least one example"):
        lean(module, examples(IMAGES)[:0])


def test_one_example_is_enough():
    assert lean(chain(), examples(IMAGES, 1)).reason is None
    assert "differ" in lean(Once(1).double(), examples(VECTORS, 1)).reason


def test_other_threads_compute_undisturbed_while_one_traces():
    module, inputs = resnet20(IMAGES, 4, 1, 4).eval(), examples(IMAGES).float()
    network = resnet20(IMAGES, 4, 1, 4).eval()
    with torch.no_grad():
        expected, nodes = module(inputs), len(lean(network, inputs).module.graph.nodes)
    stop, wrong = threading.Event(), []

    def compute():
        torch.set_num_threads(1)
        while not stop.is_set():
            try:
                with torch.no_grad():
                    if not torch.equal(module(inputs), expected):
                        wrong.append("other logits")
            except Exception as error:  # noqa: BLE001  (whatever it is, the test tells)
                wrong.append(repr(error))

    def trace():
        graphs.append(len(tracing.slim(resnet20(IMAGES, 4, 1, 4).eval(), True).module.graph.nodes))

    graphs = []
    worker = threading.Thread(target=compute)
    worker.start()
    for _ in range(4):
        tracers = [threading.Thread(target=trace) for _ in range(3)]
        for tracer in tracers:
            tracer.start()
        for tracer in tracers:
            tracer.join()
    stop.set()
    worker.join()
    assert wrong == []
    assert graphs == [nodes] * 12
    assert nn.Module.__call__.__name__ != "module_call_wrapper"


class Meeting(nn.Module):
    """Tells when it is being traced, and waits for another before it goes on."""

    def __init__(self, here, other, seconds):
        super().__init__()
        self.meet = lambda: (here.set(), other.wait(seconds))

    def forward(self, inputs):
        self.meet()
        return inputs


def test_two_threads_trace_one_after_the_other_and_leave_torch_as_it_was():
    before, first, second = nn.Module.__call__, threading.Event(), threading.Event()

    def trace(here, other, seconds):
        tracing.slim(Meeting(here, other, seconds), True)

    def follow():
        first.wait(20)
        # ends after the first: would put back the first one's replacement if both had begun at once
        tracing.slim(Meeting(second, done, 20), True)

    done, follower = threading.Event(), threading.Thread(target=follow)
    follower.start()
    trace(first, second, 0.5)
    done.set()
    follower.join()
    assert second.is_set()
    assert nn.Module.__call__ is before
