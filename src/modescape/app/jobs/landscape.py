"""The landscape around networks that somebody trained: what `modescape landscape` and its Python twin do."""

import hashlib
import io
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from torch import Tensor, nn

from modescape.app.executors.abstract import Happening
from modescape.app.jobs.perform import perform
from modescape.app.jobs.prepare import Options, prepare
from modescape.app.jobs.recipe import Recipe, apply, validate
from modescape.app.jobs.report import render
from modescape.app.runs.commit import write_file
from modescape.app.runs.layout import Layout
from modescape.errors import DataError, NetworkError
from modescape.tables import Table

KINDS = ("random", "hessian", "plane", "line", "sector")
"""Those for which there are too few networks are left out."""
STUDY = "cross_sections"


@dataclass(frozen=True)
class Landscape:
    """What was found: the run directory, the page, and the tables (answers, sections, grid, errors, marks)."""

    root: Path
    report: Path
    tables: Mapping[str, Table]

    def __str__(self) -> str:
        sentences = [f"- {row['sentence']}" for row in self.tables["answers"].rows()]
        return "\n".join([*sentences, f"report: {self.report}"])


def recipe_of(
    model: str, weights: Sequence[str], data: str, overrides: Sequence[str] = (), curvature: bool = False
) -> Recipe:
    """The recipe that shows the landscape around networks from files.

    ``model`` is "module:function", ``data`` a dataset or an npz file. Inputs of a file are taken as they are, those of
    a dataset standardised; ``overrides`` change that and everything else. Raises ``SettingsError``.
    """
    record: dict[str, Any] = {
        "title": f"The landscape of {model}",
        "description": f"Networks trained elsewhere ({len(weights)}), on {Path(data).name}.",
        "studies": [STUDY, *(["curvature"] if curvature else [])],
        "data": {"name": data, "scaling": "raw" if data.endswith(".npz") else "standard"},
        "network": {"factory": model, "weights": [str(path) for path in weights]},
        "training": {"members": len(weights)},
        STUDY: {"kinds": list(KINDS)},
    }
    for override in overrides:
        apply(record, override)
    return validate(record, "modescape landscape")


def landscape(
    model: Callable[..., nn.Module] | str,
    weights: Sequence[Any] | Any,
    data: str | Path | tuple[Any, Any] | Mapping[str, Any],
    out: str | Path = "runs/landscape",
    *,
    settings: Sequence[str] = (),
    listen: Callable[[Happening], None] = lambda happening: None,
) -> Landscape:
    """The landscape around trained networks: cross-sections, answers, and a report, in a run directory.

    ``model`` is a function that builds the network (at the top level of a module or of the script), or its
    "module:function". ``weights`` are one or more files (safetensors or npz), modules, or state dicts. ``data`` is the
    name of a dataset, an npz file, (inputs, targets), or a mapping with ``train_inputs``, ``train_targets``,
    ``test_inputs`` and ``test_targets``: inputs [example, channel, ...], targets [example]. ``settings`` are overrides
    such as "cross_sections.grid=61". What is given in memory is written to ``out``/given, so that the command in the
    report repeats the run; ``listen`` is told what happens. Stopped and called again, it goes on. Raises errors of
    ``modescape.errors``.
    """
    root = Path(out)
    given = Layout(root).given
    many = weights if isinstance(weights, list | tuple) else [weights]
    files = [_weights_file(one, given) for one in many]
    recipe = recipe_of(model if isinstance(model, str) else _path_of(model), files, _data_file(data, given), settings)
    with _as_it_was():
        prepared = prepare(recipe, Options())
        outcome = perform(prepared, [STUDY], root, prepared.described(about(recipe, settings)), listen)
    return Landscape(root, render(root), outcome.tables[STUDY])


def about(recipe: Recipe, overrides: Sequence[str] = (), curvature: bool = False) -> dict[str, str]:
    """A name, and the command that makes the same run again; where a script is needed for it, what it calls."""
    words = ["modescape", "landscape", "--model", recipe.network.factory or ""]
    words += [word for path in recipe.network.weights for word in ("--weights", path)]
    words += ["--data", recipe.data.name, *(word for one in overrides for word in ("--set", one))]
    command = shlex.join([*words, *(["--curvature"] if curvature else [])])
    if words[3].startswith("__main__:"):
        command = f"modescape.landscape({words[3].partition(':')[2]}, ...) in the script that was run"
    return {"name": "landscape", "command": command}


@contextmanager
def _as_it_was() -> Iterator[None]:
    """Threads and precision are the caller's again in the end."""
    threads, products = torch.get_num_threads(), torch.backends.cuda.matmul.allow_tf32
    convolutions = torch.backends.cudnn.allow_tf32
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = products, convolutions


def _path_of(model: Callable[..., nn.Module]) -> str:
    name = getattr(model, "__qualname__", "")
    if not name.isidentifier():
        raise NetworkError(
            f"model is {name or type(model).__name__}, which cannot be found again by name; give a function that is "
            "defined at the top level of a module or script and returns a fresh network"
        )
    return f"{model.__module__}:{name}"


def _weights_file(one: Any, given: Path) -> str:
    if isinstance(one, str | Path):
        return str(one)
    tensors = one.state_dict() if isinstance(one, nn.Module) else one
    if not isinstance(tensors, Mapping) or not all(isinstance(tensor, Tensor) for tensor in tensors.values()):
        raise NetworkError(f"weights are {type(one).__name__}; give files, modules, or state dicts of tensors")
    kept = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    return _kept(safetensors.torch.save(kept), given, "network-{}.safetensors")


def _data_file(data: Any, given: Path) -> str:
    if isinstance(data, str | Path):
        return str(data)
    arrays = dict(zip(("inputs", "targets"), data, strict=True)) if isinstance(data, tuple) and len(data) == 2 else data
    if not isinstance(arrays, Mapping):
        raise DataError("data are neither a dataset's name, nor a file, nor (inputs, targets), nor a mapping of arrays")
    held = io.BytesIO()
    np.savez(held, allow_pickle=False, **{name: _array(values) for name, values in arrays.items()})
    return _kept(held.getvalue(), given, "data-{}.npz")


def _array(values: Any) -> np.ndarray:
    return values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)


def _kept(content: bytes, given: Path, name: str) -> str:
    """Write what was given, under a name of its own, so that what an earlier call gave stays."""
    path = given / name.format(hashlib.sha256(content).hexdigest()[:12])
    if not path.exists():
        write_file(path, content)
    return str(path)
