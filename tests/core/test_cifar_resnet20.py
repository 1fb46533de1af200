"""ResNet-20 with shortcuts without parameters: names, size and function of the published weights' network."""

import torch
from torch.nn import functional

from modescape.core.models.cifar_resnet20 import cifar_resnet20

STAGES = {1: (16, 16, 1), 2: (16, 32, 2), 3: (32, 64, 2)}


def published_shapes():
    """Names and shapes of the published state_dict, which has no counts of training steps."""
    shapes = {"conv1.weight": (16, 3, 3, 3)} | norm("bn1", 16)
    for stage, (before, after, _) in STAGES.items():
        for block in range(3):
            path, channels = f"layer{stage}.{block}", before if block == 0 else after
            shapes |= {f"{path}.conv1.weight": (after, channels, 3, 3)} | norm(f"{path}.bn1", after)
            shapes |= {f"{path}.conv2.weight": (after, after, 3, 3)} | norm(f"{path}.bn2", after)
    return shapes | {"linear.weight": (10, 64), "linear.bias": (10,)}


def norm(path, channels):
    return {f"{path}.{name}": (channels,) for name in ("weight", "bias", "running_mean", "running_var")}


def slow(tensors, maps):
    """The network written out, from tensors by their published names."""

    def normalised(path, values):
        own = [tensors[f"{path}.{name}"] for name in ("running_mean", "running_var", "weight", "bias")]
        return functional.batch_norm(values, *own)

    maps = torch.relu(normalised("bn1", functional.conv2d(maps, tensors["conv1.weight"], padding=1)))
    for stage, (_, after, first) in STAGES.items():
        for block in range(3):
            path, stride = f"layer{stage}.{block}", first if block == 0 else 1
            inner = functional.conv2d(maps, tensors[f"{path}.conv1.weight"], stride=stride, padding=1)
            inner = torch.relu(normalised(f"{path}.bn1", inner))
            inner = normalised(f"{path}.bn2", functional.conv2d(inner, tensors[f"{path}.conv2.weight"], padding=1))
            short = torch.zeros_like(inner)
            beside = (after - maps.shape[1]) // 2
            for channel in range(maps.shape[1]):
                short[:, beside + channel] = maps[:, channel, ::stride, ::stride]
            maps = torch.relu(inner + short)
    return maps.mean(dim=(2, 3)) @ tensors["linear.weight"].T + tensors["linear.bias"]


def test_names_and_shapes_are_those_of_the_published_weights():
    network = cifar_resnet20((3, 32, 32), 10)
    own = {n: tuple(t.shape) for n, t in network.state_dict().items() if not n.endswith("num_batches_tracked")}
    assert own == published_shapes()
    assert sum(p.numel() for p in network.parameters()) == 269_722


def test_it_is_the_function_that_is_written_out():
    chance = torch.Generator().manual_seed(0)
    tensors = {
        name: 0.1 * torch.randn(shape, generator=chance) + (1.0 if "var" in name else 0.0)
        for name, shape in published_shapes().items()
    }
    network = cifar_resnet20((3, 32, 32), 10).eval()
    network.load_state_dict(tensors, strict=False)
    images = torch.randn(3, 3, 32, 32, generator=chance)
    with torch.no_grad():
        torch.testing.assert_close(network(images), slow(tensors, images), rtol=1e-4, atol=1e-4)
