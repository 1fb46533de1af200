"""Results of tasks on disk: safetensors files and a manifest, committed as a whole."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
from torch import Tensor

from modescape.app.runs.commit import write_folder
from modescape.app.runs.layout import MANIFEST, tensor_file
from modescape.app.runs.manifest import Damaged, Manifest, entry, manifest_bytes, read_manifest, read_verified
from modescape.studies.abstract import Result


def write_result(folder: Path, result: Result, record: Mapping[str, Any]) -> int:
    """Commit a result; ``record`` says which task it is and how it came about. Returns the bytes written."""
    contents = {
        tensor_file(name): safetensors.torch.save({n: t.cpu().contiguous() for n, t in tensors.items()})
        for name, tensors in result.files.items()
        if tensors
    }
    passing = {tensor_file(name) for name in result.passing}
    files = {name: entry(data, name in passing) for name, data in contents.items()}
    # safetensors gives tensors back in an arbitrary order, and sums over tensors round by their order
    names = {"groups": {group: list(tensors) for group, tensors in result.files.items()}}
    manifest = manifest_bytes(files, {**record, **names, "facts": result.facts})
    write_folder(folder, {name: lambda data=data: data for name, data in [*contents.items(), (MANIFEST, manifest)]})  # type: ignore[misc]
    return sum(len(data) for data in contents.values()) + len(manifest)


def read_result(folder: Path) -> Result:
    """A result, every byte verified; files that were dropped are left out. Raises ``Damaged``."""
    manifest = read_manifest(folder)
    if manifest is None:
        raise Damaged(f"{folder} holds no result; run again")
    files: dict[str, dict[str, Tensor]] = {}
    for group, order in manifest.record["groups"].items():
        name = tensor_file(group)
        if name not in manifest.files:
            files[group] = {}
        elif (folder / name).exists() or not manifest.files[name]["passing"]:
            tensors = safetensors.torch.load(read_verified(folder, manifest, name))
            files[group] = {key: tensors[key] for key in order}
    return Result(files, manifest.record["facts"])


def verify(folder: Path, manifest: Manifest) -> None:
    """Raise ``Damaged`` unless every file that is still needed is what was written."""
    for name, wanted in manifest.files.items():
        if not wanted["passing"] or (folder / name).exists():
            read_verified(folder, manifest, name)


def drop_passing(folder: Path) -> None:
    """Delete the files that only the next task needed."""
    manifest = read_manifest(folder)
    for name, wanted in manifest.files.items() if manifest else ():
        if wanted["passing"]:
            (folder / name).unlink(missing_ok=True)
