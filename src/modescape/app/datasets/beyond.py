"""What evaluation data beyond a dataset's own splits look like, and how their digests and errors are made."""

import difflib
import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from modescape.core.splits import Split
from modescape.errors import SettingsError


@dataclass(frozen=True)
class Extra:
    """A split that can be had: how many examples, where they come from, and what decides about their values.

    ``digest`` is SHA-256, in hex, over the checksums of the files used or over the recipe (formula, parameters, root
    seed, digest of the dataset). ``load`` gives inputs of the dataset's dtype and shape [example, channel, ...] and
    targets int64 [example]: those of the test split for a shift, its own for natural data, 0 for unknown inputs. It
    raises ``DataError`` if files have changed since.
    """

    name: str
    examples: int
    source: str
    digest: str
    load: Callable[[], Split]


def digest_of(*parts: object) -> str:
    """SHA-256, in hex, of the parts' representations, one a line."""
    return hashlib.sha256("\n".join(repr(part) for part in parts).encode()).hexdigest()


def no_such(what: str, name: str, known: Iterable[str]) -> SettingsError:
    """The error for a name that does not exist, with the nearest that does."""
    names = tuple(known)
    if not names:
        return SettingsError(f"there is no {what} '{name}', nor any other for such data; choose another dataset")
    # What all names begin with would make any two alike.
    last = {known.rpartition("/")[2]: known for known in names}
    near = difflib.get_close_matches(name.rpartition("/")[2].lower(), last, n=1, cutoff=0.5)
    guess = f"; did you mean '{last[near[0]]}'?" if near else "."
    return SettingsError(f"there is no {what} '{name}'{guess} Choose one of {', '.join(names)}")
