"""Weights of networks that were trained elsewhere, from files that hold no code."""

import hashlib
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from modescape.core.seeds import global_generator
from modescape.core.weights import Weights, of_module
from modescape.errors import NetworkError

WRAPPERS = ("module.", "_orig_mod.", "model.")
"""Prefixes that wrappers put before every name; taken off where the network has none."""


def read_weights(path: Path, build: Callable[[], nn.Module]) -> tuple[Weights, str]:
    """One network's weights as a stack of one, and the SHA-256 of their values.

    The file is safetensors, or an npz of arrays, with the names of the network's own ``state_dict``. Raises
    ``NetworkError`` that says which tensor does not fit; nothing in a file is ever run.
    """
    with global_generator(0, "import"):
        module = build()
    given = _unwrapped(_tensors(path), module)
    own = module.state_dict()
    # A count of training steps, which files of older versions of torch do not have: no prediction depends on it.
    given = {name: tensor for name, tensor in own.items() if name.endswith("num_batches_tracked")} | given
    missing, unknown = sorted(own.keys() - given.keys()), sorted(given.keys() - own.keys())
    if missing or unknown:
        odd = [*(f"no {name}" for name in missing[:3]), *(f"an unknown {name}" for name in unknown[:3])]
        raise NetworkError(f"{path} has {', '.join(odd)}: the weights are not those of this network")
    for name, tensor in own.items():
        if tensor.shape != given[name].shape:
            raise NetworkError(
                f"{path}: {name} has shape {list(given[name].shape)}, in the network {list(tensor.shape)}: "
                "the weights are those of another network"
            )
        if given[name].is_floating_point() and not given[name].to(tensor.dtype).isfinite().all():
            raise NetworkError(f"{path}: {name} has numbers that are not finite")
    module.load_state_dict(given)
    digest = hashlib.sha256()
    for name in sorted(own):
        digest.update(name.encode() + given[name].to(own[name].dtype).contiguous().numpy().tobytes())
    return of_module(module, 0), digest.hexdigest()


def _tensors(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as arrays:
                return {name: torch.from_numpy(arrays[name]).contiguous() for name in arrays.files}
        return safetensors.torch.load_file(path)
    except OSError as error:
        raise NetworkError(f"cannot read the weights {path}: {error.strerror or error}") from error
    except (SafetensorError, ValueError, TypeError, KeyError, zipfile.BadZipFile) as error:
        hint = f"save them as safetensors: safetensors.torch.save_file(network.state_dict(), '{path.stem}.safetensors')"
        raise NetworkError(f"{path} holds no weights that can be read without running code; {hint}") from error


def _unwrapped(given: Mapping[str, Tensor], module: nn.Module) -> dict[str, Tensor]:
    """The same tensors by the network's names."""
    own = module.state_dict().keys()
    found = dict(given)
    for prefix in WRAPPERS:
        if found and all(name.startswith(prefix) for name in found) and not any(n.startswith(prefix) for n in own):
            found = {name.removeprefix(prefix): tensor for name, tensor in found.items()}
    return found
