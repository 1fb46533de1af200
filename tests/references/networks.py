"""Networks that are hard to make lean, members of them, and the slow way to predict: load, evaluate, one by one."""

import torch
from torch import nn

from modescape.core.evaluation import Blocks, Scratch
from modescape.core.models.mlp import mlp
from modescape.core.models.plain_cnn import small_cnn
from modescape.core.models.resnet20 import resnet20
from modescape.core.models.signal_cnn import signal_cnn
from modescape.core.splits import Split
from modescape.core.weights import Weights

IMAGES, VECTORS = (3, 8, 8), (6,)


def chance(seed=0):
    return torch.Generator().manual_seed(seed)


def examples(shape, count=4, seed=0):
    return torch.randn(count, *shape, generator=chance(seed), dtype=torch.float64)


def members(module, count=3, seed=1):
    """Members far from each other; variances are positive, whole numbers stay."""
    drawing = chance(seed)

    def moved(name, tensor):
        if not tensor.is_floating_point():
            return tensor.expand(count, *tensor.shape).clone()
        noise = torch.randn(count, *tensor.shape, generator=drawing, dtype=torch.float64)
        spread = torch.exp(noise) if name.endswith("var") else 1 + 0.3 * noise
        return (tensor * spread + (0 if name.endswith("var") else 0.2 * noise)).to(tensor).detach()

    params = {name: moved(name, tensor) for name, tensor in module.named_parameters()}
    return Weights(params, {name: moved(name, tensor) for name, tensor in module.named_buffers()}, (0,) * count)


def slow(module, weights, inputs):
    """Load a state dict, evaluate: one member after another."""
    rows = []
    for member in range(len(weights)):
        state = {name: tensor[member] for name, tensor in {**weights.params, **weights.buffers}.items()}
        module.load_state_dict(state, strict=False)
        with torch.no_grad():
            rows.append(module.eval()(inputs.clone()))
    return torch.stack(rows)


class Net(nn.Module):
    """Named layers and a forward that is a function of the network and its inputs."""

    def __init__(self, forward, **layers):
        super().__init__()
        self.path = forward
        for name, layer in layers.items():
            setattr(self, name, layer)

    def forward(self, inputs):
        return self.path(self, inputs)


def with_buffer(forward, value, **layers):
    net = Net(forward, **layers)
    net.register_buffer("extra", value)
    return net


def tied():
    net = Net(
        lambda n, x: n.last(torch.relu(n.norm(n.second(torch.relu(n.first(x)))))),
        first=nn.Linear(6, 6),
        second=nn.Linear(6, 6),
        norm=nn.BatchNorm1d(6),
        last=nn.Linear(6, 3),
    )
    net.second.weight = net.first.weight
    return nn.Sequential(nn.Linear(6, 6), nn.BatchNorm1d(6), net)


def tied_across():
    """The second name of a tensor is read before its first."""
    block = nn.ModuleDict({"one": nn.Linear(6, 6), "two": nn.Linear(6, 6)})
    net = Net(
        lambda n, x: n.last(n.block["two"](torch.relu(n.z(torch.relu(n.block["one"](x)))))),
        block=block,
        z=nn.Linear(6, 6),
        last=nn.Linear(6, 3),
    )
    net.z.weight = net.block["two"].weight
    return net


def conv(before=3, after=5, **more):
    return nn.Conv2d(before, after, 3, padding=1, **more)


def head(before=5, size=64):
    return nn.Sequential(nn.Flatten(), nn.Linear(before * size, 4))


def normed(dims, **norm):
    convolution, kind = getattr(nn, f"Conv{dims}d"), getattr(nn, f"BatchNorm{dims}d")
    return nn.Sequential(convolution(2, 5, 3, stride=2), kind(5, **norm), nn.ReLU(), nn.Flatten(), nn.LazyLinear(4))


def lazy(net, shape):
    net(torch.zeros(2, *shape))
    return net


def fronted(net):
    """Behind a layer whose batch norm can be folded, whatever becomes of the others."""
    return nn.Sequential(conv(3, 3), nn.BatchNorm2d(3), nn.ReLU(), net)


# name: builder, shape of an example, batch norms folded
NETWORKS = {
    "small cnn": (lambda: small_cnn(IMAGES, 4, (4, 6)), IMAGES, 0),
    "resnet": (lambda: resnet20(IMAGES, 4, 1, 4), IMAGES, 7),
    "mlp": (lambda: mlp(VECTORS, 3, (5, 4), 0.3), VECTORS, 0),
    "signal cnn": (lambda: signal_cnn((2, 11), 3, 4), (2, 11), 0),
    "1d": (lambda: lazy(normed(1), (2, 9)), (2, 9), 1),
    "2d, large eps": (lambda: lazy(normed(2, eps=0.7), (2, 9, 9)), (2, 9, 9), 1),
    "3d, no affine": (lambda: lazy(normed(3, affine=False), (2, 5, 5, 5)), (2, 5, 5, 5), 1),
    "no bias": (lambda: nn.Sequential(conv(bias=False), nn.BatchNorm2d(5), head()), IMAGES, 1),
    "neither": (
        lambda: nn.Sequential(conv(bias=False, groups=1), nn.BatchNorm2d(5, affine=False), nn.Identity(), head()),
        IMAGES,
        1,
    ),
    "grouped": (lambda: nn.Sequential(conv(3, 6, groups=3), nn.BatchNorm2d(6), head(6)), IMAGES, 1),
    "dense": (lambda: nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 3)), VECTORS, 1),
    "norm first": (lambda: nn.Sequential(nn.BatchNorm2d(3), conv(), nn.ReLU(), nn.BatchNorm2d(5), head()), IMAGES, 0),
    "dropout between": (lambda: nn.Sequential(conv(), nn.Dropout(0.5), nn.BatchNorm2d(5), head()), IMAGES, 0),
    "untracked": (
        lambda: fronted(nn.Sequential(conv(), nn.BatchNorm2d(5, track_running_stats=False), head())),
        IMAGES,
        1,
    ),
    "convolution read twice": (
        lambda: fronted(
            Net(lambda n, x: n.head((v := n.a(x)) + n.norm(v)), a=conv(), norm=nn.BatchNorm2d(5), head=head())
        ),
        IMAGES,
        1,
    ),
    "convolution used twice": (
        lambda: fronted(
            Net(
                lambda n, x: n.head(n.two(n.a(torch.relu(n.one(n.a(x)))))),
                a=conv(3, 3),
                one=nn.BatchNorm2d(3),
                two=nn.BatchNorm2d(3),
                head=head(3),
            )
        ),
        IMAGES,
        1,
    ),
    "norm used twice": (
        lambda: fronted(
            Net(
                lambda n, x: n.head(n.norm(n.b(torch.relu(n.norm(n.a(x)))))),
                a=conv(),
                b=conv(5, 5),
                norm=nn.BatchNorm2d(5),
                head=head(),
            )
        ),
        IMAGES,
        1,
    ),
    "kernel read by itself": (
        lambda: fronted(
            Net(
                lambda n, x: n.head(n.norm(n.a(x))) * n.a.weight.square().sum(),
                a=conv(),
                norm=nn.BatchNorm2d(5),
                head=head(),
            )
        ),
        IMAGES,
        1,
    ),
    "tied": (tied, VECTORS, 1),
    "tied across blocks": (tied_across, VECTORS, 0),
    "other buffers": (
        lambda: with_buffer(
            lambda n, x: n.b(n.a(x) * n.extra.exp()), torch.ones(5), a=nn.Linear(6, 5), b=nn.Linear(5, 3)
        ),
        VECTORS,
        0,
    ),
    "normed along another axis": (
        lambda: Net(
            lambda n, x: n.b(n.norm(n.a(x.unflatten(1, (5, -1)))).flatten(1)),
            a=nn.Linear(2, 5),
            norm=nn.BatchNorm1d(5),
            b=nn.Linear(25, 3),
        ),
        (10,),
        0,
    ),
    "parametrised": (
        lambda: nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(6, 5)), nn.BatchNorm1d(5), nn.ReLU()),
        VECTORS,
        0,
    ),
    "relu in place": (
        lambda: nn.Sequential(conv(), nn.ReLU(inplace=True), conv(5, 5), nn.ReLU(inplace=True), head()),
        IMAGES,
        0,
    ),
    "one layer": (lambda: nn.Linear(6, 3), VECTORS, 0),
}


def built(name):
    build, shape, folds = NETWORKS[name]
    torch.manual_seed(0)
    # lazy layers have batch-norm statistics of their own already
    return build().double(), shape, folds


TOLERANCE = 3e-5
"""Of the largest logit: float32 rounds by 6e-8, sums have some hundred numbers, and there are at most ten of them in a
row with a batch norm that may stretch what went before a few times."""


def split_of(shape, count=30, seed=3, classes=3):
    inputs = torch.randint(0, 256, (count, *shape), generator=chance(seed), dtype=torch.uint8)
    return Split(inputs, torch.randint(0, classes, (count,), generator=chance(seed + 1)))


def network(name):
    module, shape, _ = built(name)
    return module.float(), shape


def finished(work):
    """The result of a generator, and what it yielded."""
    amounts = []
    while True:
        try:
            amounts.append(next(work))
        except StopIteration as stop:
            return stop.value, amounts


def in_blocks(weights, size):
    """Blocks of so many members."""
    return Blocks(-(-len(weights) // size), lambda place: weights[place * size : (place + 1) * size])


def scratches(name, split, scaling, cores=1):
    return [Scratch(network(name)[0], split, scaling) for _ in range(cores)]
