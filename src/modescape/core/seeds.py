"""One root seed and a named path give a generator: chance has names, never a place."""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

_GLOBAL = threading.RLock()


def path_name(*path: str | int) -> str:
    """The path as text: ``path_name("member", 3, "init") == "member/3/init"``."""
    return "/".join(str(part) for part in path)


def seed_of(root: int, *path: str | int) -> int:
    """A 63-bit seed from SHA-256 over the root seed and the path.

    torch's CPU generator uses the low 32 bits, so two given paths share a stream with probability 2**-32; paths in
    the same role number hundreds to thousands, which leaves that far below anything a study could notice.
    """
    digest = hashlib.sha256(f"{root}:{path_name(*path)}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(root: int, *path: str | int, device: torch.device | None = None) -> torch.Generator:
    """The generator of a named path, at its beginning."""
    return torch.Generator(device or torch.device("cpu")).manual_seed(seed_of(root, *path))


@contextmanager
def global_generator(root: int, *path: str | int) -> Iterator[None]:
    """Let code that knows only torch's global CPU generator draw from a named path; the global state is restored.

    The one use is building a network from somebody's factory, whose layers initialise themselves. Other threads that
    want the same wait.
    """
    with _GLOBAL, torch.random.fork_rng(devices=[]):
        torch.set_rng_state(generator(root, *path).get_state())
        yield
