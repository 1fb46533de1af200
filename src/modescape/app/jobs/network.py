"""A builder of networks for a recipe: one of the catalogue, or somebody's own factory."""

import hashlib
import importlib
import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from modescape.core.landscape.checks import require_deterministic
from modescape.core.landscape.symmetry import symmetry_of
from modescape.core.models.batch_norm import has_batch_norm
from modescape.core.models.catalogue import NETWORKS
from modescape.core.models.checks import check_network
from modescape.core.models.dropout import has_dropout
from modescape.core.seeds import generator, global_generator
from modescape.core.splits import Scaling, Split
from modescape.core.training.noise import seed_dropout
from modescape.errors import NetworkError
from modescape.studies.setup import NetworkChoice


def builder(choice: NetworkChoice, shape: tuple[int, ...], classes: int) -> Callable[[], nn.Module]:
    """A function that builds a fresh network. Raises ``NetworkError`` if a factory cannot be imported."""
    if choice.factory is not None:
        return partial(load_factory(choice.factory), **choice.options)
    assert choice.name is not None, "a choice has a name or a factory"
    return partial(NETWORKS[choice.name], shape, classes, **choice.options)


def load_factory(path: str) -> Callable[..., nn.Module]:
    """The function that ``package.module:function`` names; modules in the current folder count."""
    module_name, _, function_name = path.partition(":")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        raise NetworkError(
            f"factory {path}: cannot import {module_name}: {type(error).__name__}: {' '.join(str(error).split())}; "
            "check the name, or run from the folder that holds it"
        ) from error
    function: Any = getattr(module, function_name, None)
    if not callable(function):
        raise NetworkError(f"factory {path}: {module_name} has no function {function_name}")
    found: Callable[..., nn.Module] = function
    return found


def factory_digest(path: str) -> str:
    """SHA-256 of the file that defines a factory, so that a run is not continued with another network."""
    function = inspect.unwrap(load_factory(path))
    owner = inspect.getmodule(function) if inspect.isroutine(function) or inspect.isclass(function) else None
    try:
        # What is no function (a partial, an object) is looked for in the module that the path names.
        source = inspect.getsourcefile(owner or importlib.import_module(path.partition(":")[0]))
        return hashlib.sha256(Path(source).read_bytes()).hexdigest() if source else "unknown"
    except (TypeError, OSError):
        # Written in a notebook or at a prompt: there is no file, but there may be a text.
        code = getattr(function, "__code__", None)
        return hashlib.sha256(code.co_code + repr(code.co_consts).encode()).hexdigest() if code else "unknown"


@dataclass(frozen=True)
class Facts:
    """What a plan must know of a network: its number of parameters, whether it has dropout and batch norm.

    ``noisy`` says why it is no function of its weights and inputs alone, if it is not.
    """

    parameters: int
    dropout: bool
    batch_norm: bool
    noisy: str = ""


def unmatched(build: Callable[[], nn.Module], inputs: Tensor) -> str:
    """Why no hidden unit of the network can change places with another; empty if some can."""
    with global_generator(0, "check"):
        module = build().eval()
    try:
        symmetry_of(module, inputs)
    except ValueError as error:
        return str(error)
    return ""


def check(build: Callable[[], nn.Module], choice: NetworkChoice, split: Split, scaling: Scaling, classes: int) -> Facts:
    """Build one network and try it on a few examples. Raises ``NetworkError``."""
    try:
        with global_generator(0, "check"):
            module = build()
    except Exception as error:
        raise NetworkError(
            f"network {choice.title} cannot be built: {' '.join(str(error).split())}; "
            "check network.options and that it fits the data"
        ) from error
    if not isinstance(module, nn.Module):
        raise NetworkError(f"factory {choice.title} returned {type(module).__name__}, expected a torch.nn.Module")
    dropout = has_dropout(module)
    for layer in seed_dropout(module):
        layer.chance = generator(0, "check")
    check_network(module, scaling(split.inputs[:4].cpu()), classes, choice.title)
    if any(parameter.dtype != torch.float32 for parameter in module.parameters()):
        raise NetworkError(f"network {choice.title} has parameters that are not float32; modescape trains in float32")
    parameters = sum(parameter.numel() for parameter in module.parameters())
    try:
        require_deterministic(module, scaling(split.inputs[:4].cpu()))
        noisy = ""
    except NetworkError as error:
        noisy = str(error)
    return Facts(parameters, dropout, has_batch_norm(module), noisy)
