"""The networks by name; to add one, write its file and its line here."""

from collections.abc import Callable

from torch import nn

from modescape.core.models.cifar_resnet20 import cifar_resnet20
from modescape.core.models.mlp import mlp
from modescape.core.models.plain_cnn import medium_cnn, small_cnn
from modescape.core.models.resnet20 import resnet20
from modescape.core.models.resnet50v2 import resnet50v2
from modescape.core.models.signal_cnn import signal_cnn

NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "small_cnn": small_cnn,
    "medium_cnn": medium_cnn,
    "resnet20": resnet20,
    "cifar_resnet20": cifar_resnet20,
    "resnet50v2": resnet50v2,
    "mlp": mlp,
    "signal_cnn": signal_cnn,
}
"""Name -> ``build(shape, classes, **options)``, where ``shape`` is that of one example."""
