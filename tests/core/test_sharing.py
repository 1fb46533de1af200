"""A network cut in two by the tensors that vary: the same logits, and nothing of a member before the cut."""

import operator

import pytest
import torch
from references.networks import IMAGES, NETWORKS, VECTORS, Net, built, conv, examples, head
from torch import fx, nn

from modescape.core.models.lean import lean
from modescape.core.models.sharing import staged, varying
from modescape.core.weights import Weights


def stack_of(**tensors):
    return Weights(tensors, {"buffer": torch.zeros(3)}, (0, 0, 0))


def test_what_varies_is_found_by_its_rows():
    row = torch.tensor([1.0, 2.0])
    last = torch.stack([row, row, torch.tensor([1.0, 2.5])])
    weights = stack_of(
        expanded=row.expand(3, 2),
        equal=torch.stack([row] * 3),
        last=last,
        middle=last[[0, 2, 0]],
        zero=torch.zeros(3, 0),
    )
    assert varying(weights) == {"last", "middle"}
    assert varying(weights[0]) == frozenset()


def test_rows_of_no_number_pass_for_different():
    # a row is not known to equal another by being as undefined as it is
    assert varying(stack_of(nan=torch.full((3, 2), torch.nan))) == {"nan"}


def test_expanded_rows_are_not_read():
    assert varying(stack_of(nan=torch.full((2,), torch.nan).expand(3, 2))) == frozenset()


def tensors(module):
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}


@pytest.mark.filterwarnings("ignore:Lazy modules")
@pytest.mark.parametrize("name", NETWORKS)
def test_both_stages_together_are_the_network_whatever_varies(name):
    module, shape, _ = built(name)
    whole, inputs = lean(module, examples(shape)).module, examples(shape, 5, 5)
    cuts = 0
    with torch.no_grad():
        expected = whole(inputs)
        for moving in [[], *([name] for name in tensors(whole)), list(tensors(whole))]:
            stages = staged(whole, moving)
            if stages.once is None:
                assert torch.equal(stages.each(inputs), expected)
                continue
            cuts += 1
            values = stages.once(inputs)
            # the same kernels on the same numbers; and a second member finds what the first found
            assert torch.equal(stages.each(*values), expected)
            assert torch.equal(stages.each(*values), expected)
    assert cuts > 0


@pytest.mark.filterwarnings("ignore:Lazy modules")
@pytest.mark.parametrize("name", NETWORKS)
def test_the_first_stage_reads_nothing_that_varies(name):
    module, shape, _ = built(name)
    whole, inputs = lean(module, examples(shape)).module, examples(shape, 5, 5)
    for moving, tensor in tensors(whole).items():
        stages = staged(whole, [moving])
        if stages.once is None:
            continue
        with torch.no_grad():
            before = stages.once(inputs)
            kept = tensor.clone()
            tensor.add_(1)
            after = stages.once(inputs)
            assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
            assert torch.equal(stages.each(*before), whole(inputs))
            tensor.copy_(kept)


def counted(module, name):
    """Calls of a layer of the graph."""
    calls = []
    module.get_submodule(name).register_forward_hook(lambda *_: calls.append(1))
    return calls


def test_a_head_alone_leaves_everything_before_it_to_the_first_stage():
    torch.manual_seed(0)
    net = nn.Sequential(conv(), nn.BatchNorm2d(5), nn.ReLU(), head())
    found = lean(net, examples(IMAGES).float())
    stages = staged(found.module, {"network.3.1.weight", "network.3.1.bias"})
    early, late = counted(found.module, "network.0"), counted(found.module, "network.3.1")
    values = stages.once(examples(IMAGES).float())
    assert [tuple(value.shape) for value in values] == [(4, 320)]
    for _ in range(3):
        stages.each(*values)
    assert (len(early), len(late)) == (1, 3)


def test_a_branch_that_varies_leaves_the_other_to_the_first_stage():
    torch.manual_seed(0)
    net = Net(lambda n, x: n.head(n.a(x) + n.b(x)), a=conv(), b=conv(), head=head())
    found, inputs = lean(net, examples(IMAGES).float()), examples(IMAGES).float()
    stages = staged(found.module, {"network.b.bias"})
    early, late = counted(found.module, "network.a"), counted(found.module, "network.b")
    values = stages.once(inputs)
    # the inputs themselves are handed on for the branch that varies
    assert any(value is inputs for value in values)
    stages.each(*values)
    stages.each(*values)
    assert (len(early), len(late)) == (1, 2)


def test_sizes_and_other_values_that_are_no_tensors_are_handed_on():
    torch.manual_seed(0)
    net = Net(lambda n, x: n.b(torch.relu(n.a(x)).reshape(x.shape[0], -1)), a=conv(), b=nn.Linear(320, 3))
    found, inputs = lean(net, examples(IMAGES).float()), examples(IMAGES, 6).float()
    for moving in ("network.a.bias", "network.b.bias"):
        stages = staged(found.module, {moving})
        given = (inputs,) if stages.once is None else stages.once(inputs)
        assert torch.equal(stages.each(*given), found.module(inputs))


@pytest.mark.parametrize("moving", [["network.0.weight"], ["network.0.weight", "network.1.weight"]])
def test_without_weights_before_the_first_that_varies_the_network_stays_whole(moving):
    found = lean(nn.Sequential(nn.Linear(6, 5), nn.Linear(5, 3)), examples(VECTORS).float())
    stages = staged(found.module, moving)
    assert stages.once is None
    assert stages.each is found.module
    assert not stages.alters
    flat = lean(nn.Sequential(nn.Flatten(), nn.Linear(192, 3)), examples(IMAGES).float())
    assert staged(flat.module, {"network.1.bias"}).once is None


def test_where_nothing_varies_the_second_stage_hands_the_logits_on():
    found = lean(nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3)), examples(VECTORS).float())
    stages = staged(found.module, ())
    (logits,) = stages.once(examples(VECTORS).float())
    assert stages.each(logits) is logits


def test_how_many_batches_were_seen_matters_to_no_prediction():
    net = nn.Sequential(nn.BatchNorm1d(6), nn.Linear(6, 3))
    found = lean(net, examples(VECTORS).float())
    stages = staged(found.module, {"network.0.num_batches_tracked"})
    (logits,) = stages.once(examples(VECTORS).float())
    assert torch.equal(logits, found.module(examples(VECTORS).float()))


def foreign(values):
    return values.add_(1)


fx.wrap("foreign")

ALTERING = {
    "method": lambda n, x: n.b(n.a(x).add_(1)),
    "function": lambda n, x: n.b(torch.sigmoid_(n.a(x))),
    "keyword": lambda n, x: n.b(nn.functional.elu(n.a(x), inplace=True)),
    "out": lambda n, x: n.b(torch.exp(v := n.a(x), out=v)),
    "layer": lambda n, x: n.b(n.act(n.a(x))),
    "somebody's": lambda n, x: n.b(foreign(n.a(x))),
}


@pytest.mark.parametrize("way", ALTERING)
def test_a_network_that_works_in_place_stays_whole_and_may_change_its_inputs(way):
    torch.manual_seed(0)
    net = Net(ALTERING[way], a=nn.Linear(6, 5), b=nn.Linear(5, 3), act=nn.ELU(inplace=True))
    graph = fx.symbolic_trace(net)
    stages = staged(graph, {"b.bias"})
    assert (stages.once, stages.each, stages.alters) == (None, graph, True)


@pytest.mark.parametrize("function", [operator.iadd, operator.setitem])
def test_a_graph_may_hold_operators_that_work_in_place(function):
    graph = fx.symbolic_trace(Net(lambda n, x: n.b(n.a(x) + 1), a=nn.Linear(6, 5), b=nn.Linear(5, 3)))
    assert staged(graph, {"b.bias"}).once is not None
    (node,) = (node for node in graph.graph.nodes if node.target is operator.add)
    node.target = function
    assert staged(graph, {"b.bias"}).alters


def test_relu_in_place_is_harmless_where_nobody_else_reads_the_value():
    sole = Net(lambda n, x: n.b(torch.relu_(n.a(x))), a=nn.Linear(6, 5), b=nn.Linear(5, 3))
    assert staged(fx.symbolic_trace(sole), {"b.bias"}).once is not None
    both = Net(lambda n, x: n.b(torch.relu_(v := n.a(x)) + v), a=nn.Linear(6, 5), b=nn.Linear(5, 3))
    assert staged(fx.symbolic_trace(both), {"b.bias"}).once is None
    # a view of the inputs is nobody's own memory
    view = Net(lambda n, x: n.b(torch.relu_(x.flatten(1))), b=nn.Linear(6, 3))
    assert staged(fx.symbolic_trace(view), ()).alters


def test_a_network_that_is_no_graph_stays_whole():
    plain = nn.Linear(6, 3)
    stages = staged(plain, ())
    assert (stages.once, stages.each, stages.alters) == (None, plain, True)
