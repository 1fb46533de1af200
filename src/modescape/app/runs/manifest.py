"""Manifests: what a directory of results holds, with the digest of every file."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modescape.app.runs.layout import MANIFEST, SCHEMA
from modescape.errors import RunError


class Damaged(RunError):
    """Files of a result are missing or not what their manifest says."""


@dataclass(frozen=True)
class Manifest:
    """``files``: name -> SHA-256, size and whether it may be dropped; ``record``: everything else."""

    files: Mapping[str, Mapping[str, Any]]
    record: Mapping[str, Any]


def digest(data: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def entry(data: bytes, passing: bool = False) -> dict[str, Any]:
    """The line of a manifest for one file."""
    return {"sha256": digest(data), "bytes": len(data), "passing": passing}


def _text(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, indent=1, sort_keys=True).encode()


def manifest_bytes(files: Mapping[str, Mapping[str, Any]], record: Mapping[str, Any]) -> bytes:
    """A manifest as it is written; it ends with the digest of its own content."""
    content = {"schema": SCHEMA, **record, "files": files}
    return _text({**content, "self_sha256": digest(_text(content))}) + b"\n"


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest of a folder; None if there is none. Raises ``Damaged`` if it was altered."""
    path = folder / MANIFEST
    try:
        raw = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        content = json.loads(raw)
        claimed = content["self_sha256"]
        newer = content["schema"] > SCHEMA
    except (ValueError, KeyError, TypeError) as error:
        raise Damaged(f"{path} is damaged: it is not a manifest; delete {folder} and run again") from error
    if newer:
        raise RunError(
            f"{path} has form {content['schema']}, this modescape knows up to {SCHEMA}; install a newer modescape"
        )
    # Other bytes can mean the same content (1e-05 and 1E-05): the bytes are compared, not only what they mean.
    del content["self_sha256"]
    if digest(_text(content)) != claimed or raw != _text({**content, "self_sha256": claimed}) + b"\n":
        raise Damaged(f"{path} is damaged: its content was altered; delete {folder} and run again")
    return Manifest(content.pop("files"), content)


def read_verified(folder: Path, manifest: Manifest, name: str) -> bytes:
    """A file's bytes. Raises ``Damaged`` unless they are those that were written."""
    path, wanted = folder / name, manifest.files[name]
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise Damaged(f"{path} is missing; delete {folder} and run again") from error
    if len(data) != wanted["bytes"] or digest(data) != wanted["sha256"]:
        raise Damaged(
            f"{path} is damaged: {len(data)} bytes with SHA-256 {digest(data)[:12]}…, written were {wanted['bytes']} "
            f"with {wanted['sha256'][:12]}…; delete {folder} and run again"
        )
    return data
