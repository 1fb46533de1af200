"""Put a file in its place whole: a reader sees the old bytes or the new ones, never some of both."""

import os
import secrets
from pathlib import Path

from modescape.errors import RunError


def write_whole(path: Path, content: bytes) -> None:
    """Write aside in the same folder, flush to disk, replace; on failure nothing is left but what was there."""
    aside = path.with_name(f".{path.name}.{secrets.token_hex(6)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            # Not tempfile: its files are private to the user, while a report follows the umask like any other file.
            with aside.open("xb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)
    except OSError as error:
        raise RunError(
            f"cannot write {path}: {error.strerror or error}; free some space or choose a place that can be written, "
            "and make the report again"
        ) from error
