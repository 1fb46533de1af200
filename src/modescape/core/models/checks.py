"""Find out, before any training, whether a network fits the data and the rules of chance."""

import torch
from torch import Tensor, nn

from modescape.core.shapes import Float
from modescape.errors import NetworkError

NORMS = (
    nn.modules.batchnorm._BatchNorm,
    nn.LayerNorm,
    nn.GroupNorm,
    nn.LocalResponseNorm,
    nn.modules.instancenorm._InstanceNorm,
)


def norm_parameters(module: nn.Module) -> frozenset[str]:
    """Names of the parameters that belong to normalisation layers."""
    return frozenset(
        f"{path}.{name}" if path else name
        for path, layer in module.named_modules()
        if isinstance(layer, NORMS)
        for name, _ in layer.named_parameters(recurse=False)
    )


def check_network(module: nn.Module, examples: Float[Tensor, "example *shape"], classes: int, name: str) -> None:
    """Raise ``NetworkError`` unless the network maps these examples to finite logits [example, class].

    A network that draws from torch's global generator while training (a functional dropout, say) is refused as well:
    its members could be neither reproduced nor trained side by side. The network must have its seeded noise already.
    """
    if not any(True for _ in module.parameters()):
        raise NetworkError(f"network {name} has no parameters to train; check the factory")
    for training in (False, True):
        module.train(training)
        before = torch.get_rng_state()
        try:
            with torch.set_grad_enabled(training):
                logits = module(examples)
        except Exception as error:
            raise NetworkError(
                f"network {name} cannot read examples of shape {tuple(examples.shape[1:])}: "
                f"{type(error).__name__}: {' '.join(str(error).split())[:200]}; choose a network that fits the data"
            ) from error
        if not torch.equal(torch.get_rng_state(), before):
            raise NetworkError(
                f"network {name} draws random numbers from torch's global generator in its forward pass; "
                "use nn.Dropout modules, which modescape can seed for each member"
            )
        if not isinstance(logits, Tensor) or tuple(logits.shape) != (len(examples), classes):
            found = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
            raise NetworkError(
                f"network {name} gives {found} for {len(examples)} examples, but the data have {classes} classes: "
                f"its output must be logits of shape {(len(examples), classes)}"
            )
        if not logits.isfinite().all():
            raise NetworkError(f"network {name} gives logits that are not finite at its initialisation")
    try:
        logits.sum().backward()
    except RuntimeError as error:
        raise NetworkError(
            f"network {name} cannot be trained: {' '.join(str(error).split())[:200]}; check for operations in place"
        ) from error
    module.zero_grad()
    module.eval()
