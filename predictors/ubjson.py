"""Read UBJSON as XGBoost writes it, and nothing else: a damaged model is an error here, before native code sees it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

#: a value of a document, which is looked at by whoever knows its keys
Value = Any
#: types of numbers by their marker, big-endian; lengths always have the marker L
NUMBERS = {m: np.dtype(t) for m, t in zip("iUIlLdD", ("i1", "u1", ">i2", ">i4", ">i8", ">f4", ">f8"), strict=True)}
CONSTANTS = {"T": True, "F": False, "Z": None}
#: an object or array may hold others so deep, and a document so many values in all (an array of numbers is one)
DEEPEST, MOST_VALUES = 16, 1_000_000


class UbjsonError(ValueError):
    """Bytes that are not a document of the kind that XGBoost writes."""


def parse(data: bytes) -> Value:
    r"""Read a document.

    Parameters
    ----------
    data : bytes
        All of it; memory of a few times its length is used at most.

    Returns
    -------
    object
        dicts, lists, texts, numbers, booleans, None, and one-dimensional arrays for arrays of one type.

    Raises
    ------
    UbjsonError
        If the document is cut, has bytes after its end, a key twice, or is nested too deeply.

    Examples
    --------
    >>> parse(b"{L" + bytes(7) + b"\x01a[$U#L" + bytes(7) + b"\x02\x05\x06}")
    {'a': array([5, 6], dtype=uint8)}
    """
    reader = _Reader(data)
    found = reader.value(reader.marker(), 0)
    if reader.at != len(data):
        raise UbjsonError(f"{len(data) - reader.at} bytes follow its end")
    return found


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data, self.at, self.values = data, 0, 0

    def take(self, n: int) -> bytes:
        if not 0 <= n <= len(self.data) - self.at:
            raise UbjsonError(f"{n} bytes are announced at byte {self.at} of {len(self.data)}")
        self.at += n
        return self.data[self.at - n : self.at]

    def marker(self) -> str:
        return self.take(1).decode("latin-1")

    def length(self) -> int:
        self.expect("L")
        return int.from_bytes(self.take(8), "big", signed=True)

    def expect(self, marker: str) -> None:
        found = self.marker()
        if found != marker:
            raise UbjsonError(f"{found!r} stands in the place of {marker!r} at byte {self.at - 1}")

    def numbers(self, marker: str, n: int) -> NDArray[Any]:
        dtype = NUMBERS[marker]
        return np.frombuffer(self.take(n * dtype.itemsize), dtype).astype(dtype.newbyteorder("="))

    def text(self) -> str:
        try:
            return self.take(self.length()).decode()
        except UnicodeDecodeError as error:
            raise UbjsonError(f"a text before byte {self.at} is not UTF-8") from error

    def value(self, marker: str, depth: int) -> Value:
        self.values += 1
        if self.values > MOST_VALUES or depth > DEEPEST:
            raise UbjsonError("it has too many values or is nested too deeply")
        if marker in NUMBERS:
            return self.numbers(marker, 1)[0].item()
        if marker in CONSTANTS:
            return CONSTANTS[marker]
        if marker == "S":
            return self.text()
        if marker == "[":
            return self.array(depth)
        if marker == "{":
            return self.table(depth)
        raise UbjsonError(f"unknown marker {marker!r} at byte {self.at - 1}")

    def array(self, depth: int) -> Value:
        kind = self.marker()
        if kind == "$":
            marker = self.marker()
            if marker not in NUMBERS:
                raise UbjsonError(f"an array before byte {self.at} is of type {marker!r}")
            self.expect("#")
            return self.numbers(marker, self.length())
        if kind == "#":
            n = self.length()
            if not 0 <= n <= len(self.data) - self.at:  # a value has a byte at least
                raise UbjsonError(f"{n} values are announced at byte {self.at} of {len(self.data)}")
            return [self.value(self.marker(), depth + 1) for _ in range(n)]
        found = []
        while kind != "]":
            found.append(self.value(kind, depth + 1))
            kind = self.marker()
        return found

    def table(self, depth: int) -> dict[str, Value]:
        found: dict[str, Value] = {}
        while self.data[self.at : self.at + 1] != b"}":
            key = self.text()
            if key in found:
                raise UbjsonError(f"the key {key!r} stands twice")
            found[key] = self.value(self.marker(), depth + 1)
        self.at += 1
        return found
