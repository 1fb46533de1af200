"""Networks whose hidden units are hard to follow, and how many of them may change places."""

import torch
from torch import nn

from references.networks import IMAGES, VECTORS, Net, conv, head


def dense(before=6, after=5):
    return nn.Linear(before, after)


def net(forward, **layers):
    return Net(forward, **layers)


class Tokens(nn.Module):
    """Vectors at several places: norm, a dense layer in a residual, then all places side by side or their mean."""

    def __init__(self, flat):
        super().__init__()
        self.first, self.norm, self.up, self.down = dense(3), nn.LayerNorm(5), dense(5, 7), dense(7, 5)
        self.last, self.flat = dense(20 if flat else 5, 3), flat

    def forward(self, x):
        x = self.first(x.reshape(x.size(0), 4, 3))
        x = x + self.down(nn.functional.gelu(self.up(self.norm(x))))
        return self.last(x.flatten(1) if self.flat else x.mean(1))


def with_parameter(module, name, value):
    module.register_parameter(name, nn.Parameter(value))
    return module


def plus_constant(n, x):
    return n.b(torch.relu(n.c(torch.relu(n.a(x)) + torch.arange(5.0, dtype=x.dtype))))


def joined(n, x):
    a, b = torch.relu(n.a(x)), torch.relu(n.b(x))
    return n.head(torch.cat([a, x, b, a], dim=1))


def read_with_holes(n, x):
    y = torch.relu(n.a(x))
    y[:, 0].fill_(1.0)
    return n.c(torch.relu(n.b(y)))


# name: builder, shape of an example, sizes of the groups
FOLLOWED = {
    "two branches joined": (
        lambda: net(joined, a=conv(3, 4), b=conv(3, 5), head=nn.Sequential(conv(16, 6), nn.ReLU(), head(6))),
        IMAGES,
        [4, 5, 6],
    ),
    "flattened branches joined": (
        lambda: net(
            lambda n, x: n.head(torch.cat([n.a(x).flatten(1), x.flatten(1), n.b(x).flatten(1)], 1)),
            a=conv(3, 4), b=conv(3, 5), head=dense(64 * 12, 3),
        ),
        IMAGES,
        [4, 5],
    ),
    "tokens, flat": (lambda: Tokens(True), (12,), [5, 7]),
    "tokens, mean": (lambda: Tokens(False), (12,), [5, 7]),
    "depthwise": (
        lambda: nn.Sequential(
            conv(3, 4), nn.Conv2d(4, 4, 3, groups=4), nn.GroupNorm(1, 4), nn.PReLU(4), conv(4, 5), nn.GroupNorm(5, 5),
            nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(20, 3),
        ),
        IMAGES,
        [4, 5],
    ),
    "a single layer around a shortcut": (
        lambda: net(
            lambda n, x: n.head(torch.relu((y := n.a(x)) + n.b(torch.relu(y)))),
            a=dense(), b=dense(5, 5), head=dense(5, 3),
        ),
        VECTORS,
        [5],
    ),
    "in place": (
        lambda: net(
            lambda n, x: n.head(torch.relu_(n.a(x)).add_(n.b(x)).view(x.shape[0], -1)),
            a=conv(), b=conv(), head=dense(320),
        ),
        IMAGES,
        [5],
    ),
    "axes changed": (
        lambda: net(
            lambda n, x: n.head(n.norm(n.a(x).permute(0, 2, 3, 1)).transpose(1, 3).mean((2, 3), keepdim=True)
                                .squeeze(3).squeeze(2)),
            a=conv(), norm=nn.LayerNorm(5), head=dense(5, 3),
        ),
        IMAGES,
        [5],
    ),
    "functions": (
        lambda: net(
            lambda n, x: n.head(
                nn.functional.max_pool2d(nn.functional.leaky_relu(nn.functional.dropout(n.a(x), 0.5, n.training)), 2)
                .reshape(-1, 80)
            ),
            a=conv(), head=dense(80),
        ),
        IMAGES,
        [5],
    ),
    "a factor for each unit": (
        lambda: with_parameter(
            net(lambda n, x: n.head(n.a(x) * n.gamma), a=dense(), head=dense(5, 3)), "gamma", torch.ones(5)
        ),
        VECTORS,
        [5],
    ),
    "summed up over units": (
        lambda: net(
            lambda n, x: n.head(torch.relu(n.b(torch.relu(n.a(x)).sum(1, keepdim=True)))), a=dense(), b=dense(1, 4),
            head=dense(4, 3),
        ),
        VECTORS,
        [5, 4],
    ),
    "no order on one side": (
        # what meets a constant stays, what follows may move
        lambda: net(plus_constant, a=dense(), c=dense(5, 4), b=dense(4, 3)),
        VECTORS,
        [4],
    ),
    "changed in place by a unit's number": (
        lambda: net(read_with_holes, a=dense(), b=dense(5, 4), c=dense(4, 3)), VECTORS, [4]
    ),
    "softmax over units": (
        lambda: net(lambda n, x: n.c(torch.relu(n.b(n.a(x).softmax(-1)))), a=dense(), b=dense(5, 4), c=dense(4, 3)),
        VECTORS,
        [4],
    ),
    "gated": (
        lambda: nn.Sequential(dense(6, 8), nn.GLU(), nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)), VECTORS, [5]
    ),
    "running sum over units": (
        lambda: nn.Sequential(
            dense(), net(lambda n, x: x.cumsum(1)), nn.Linear(5, 4), nn.Sigmoid(), nn.Linear(4, 3)
        ),
        VECTORS,
        [4],
    ),
    "groups of channels": (
        lambda: nn.Sequential(conv(3, 4), nn.ReLU(), nn.Conv2d(4, 6, 1, groups=2), nn.ReLU(), conv(6, 5), head()),
        IMAGES,
        [5],
    ),
    "norm of some channels": (
        lambda: nn.Sequential(conv(3, 4), nn.GroupNorm(2, 4), nn.ReLU(), conv(4, 5), nn.InstanceNorm2d(5), head()),
        IMAGES,
        [],
    ),
}  # fmt: skip
