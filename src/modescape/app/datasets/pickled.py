"""Read a batch of the python layout without running anything that its pickle asks for.

A pickle may name any function of any installed module and have it called. Here three names are answered, each with a
plain stand-in defined below, so neither numpy nor any other code ever sees the file's values; every other name ends the
reading.
"""

import io
import pickle
from typing import Any

from modescape.errors import DataError

FAILURES = (
    pickle.UnpicklingError,
    ArithmeticError,
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    MemoryError,
    TypeError,
    ValueError,
)
"""What a damaged or hostile pickle makes the reader raise."""


class PickledArray:
    """The parts of a pickled numpy array: its shape, its element type, its bytes in C order."""

    def __init__(self, *_ignored: object) -> None:
        self.shape: object = ()
        self.dtype: object = None
        self.raw: object = b""

    def __setstate__(self, state: Any) -> None:
        _version, self.shape, self.dtype, fortran_order, self.raw = state
        if fortran_order:
            raise pickle.UnpicklingError("its array is stored by columns")

    def bytes_of(self, rows: int, columns: int) -> bytes:
        """The array's bytes if it is uint8 [rows, columns]; ``DataError`` otherwise."""
        if not isinstance(self.dtype, _PickledType) or self.dtype.code not in ("u1", b"u1"):
            raise DataError("its images are not unsigned bytes")
        if self.shape != (rows, columns) or not isinstance(self.raw, bytes) or len(self.raw) != rows * columns:
            raise DataError(f"its images are not an array of {rows} rows and {columns} columns")
        return self.raw


class _PickledType:
    def __init__(self, code: object, *_ignored: object) -> None:
        self.code = code

    def __setstate__(self, state: object) -> None:
        """Byte order and alignment mean nothing for single bytes."""


class _PickledBytes:
    """Python 3 writes bytes in protocol 2 as text and a call that encodes it."""

    def __new__(cls, text: str, encoding: str) -> bytes:  # type: ignore[misc]
        if encoding not in ("latin1", "latin-1"):
            raise pickle.UnpicklingError("it asks for another encoding than latin-1")
        return text.encode("latin-1")

    def __setstate__(self, state: object) -> None:
        """Without this method the pickle could set attributes of the class itself."""


class _NotAnArray:
    def __setstate__(self, state: object) -> None:
        """As above; this class only stands for the name ``numpy.ndarray`` among ignored arguments."""


_STAND_INS: dict[tuple[str, str], type] = {
    ("numpy.core.multiarray", "_reconstruct"): PickledArray,
    ("numpy._core.multiarray", "_reconstruct"): PickledArray,
    ("numpy", "ndarray"): _NotAnArray,
    ("numpy", "dtype"): _PickledType,
    ("_codecs", "encode"): _PickledBytes,
}


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _STAND_INS:
            asked = f"{module}.{name}"[:80]
            raise pickle.UnpicklingError(f"it asks for {asked!r}, which no batch needs")
        return _STAND_INS[module, name]


def read_pickled_batch(raw: bytes) -> dict[str, object]:
    """The entries of a pickled batch under text keys: lists, bytes, numbers and ``PickledArray``.

    Raises ``DataError`` (without the file's name, which the caller adds) for anything that is not such a batch.
    """
    try:
        entries = _Reader(io.BytesIO(raw), encoding="bytes").load()
        if not isinstance(entries, dict):
            raise DataError("it does not hold a dictionary")
        texts = {key.decode("ascii"): value for key, value in entries.items() if isinstance(key, bytes)}
        return texts | {key: value for key, value in entries.items() if isinstance(key, str)}
    except FAILURES as problem:
        raise DataError(f"it is not a batch that can be read safely: {str(problem).rstrip('.')}") from problem
