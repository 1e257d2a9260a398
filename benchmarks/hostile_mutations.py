"""Damage to files: random bytes, cut and doubled parts, numbers at their limits, deep nesting, text of the wrong kind."""

from __future__ import annotations

import gzip
import io
import re
import struct
import zipfile
from collections.abc import Callable

import numpy as np

#: what is put in the place of a number in text
NUMBERS = (
    b"-1", b"0", b"1e400", b"-1e400", b"NaN", b"Infinity", b"nan", b"inf", b"-inf", b"1e308", b"1e-320", b"9" * 400, b"9" * 5000,
    b"18446744073709551616", b"9223372036854775807", b"2147483648", b"1000000000000", b"0.5", b"true", b"null", b'""', b"[]", b"{}",
    b"0x10", b"1_000", b"1979-05-27", b"00:00:00", b"1,5", b"\xd9\xa3",
)  # fmt: skip
#: what is put into text anywhere
TEXTS = (
    b"\x00", b"\x1b[2J", b"\r", b"\n", b'"', b"'", b"\\", b"\\u0000", b"\\ud800", b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\xe2\x80\xa8",
    b"\x7f", b"[", b"]", b"{", b"}", b",", b";", b"\t", b"=", b":", b"#", b"../", b"/etc/passwd", b"[" * 5000, b"{\"a\":" * 5000, b"[[a]]\n", b"%s%n",
    b"A" * 100_000, "é".encode(), "\u202e".encode(), "𝔘".encode(),
)  # fmt: skip
#: whole numbers at limits, put in the place of bytes of binary files
LIMITS = (0, 1, -1, 127, 128, 255, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**62, 2**63 - 1, -(2**31), -(2**63))

Mutate = Callable[[bytes, np.random.Generator], bytes]


def damaged(data: bytes, rng: np.random.Generator, *, text: bool) -> bytes:
    """Damage a file in one to four places.

    Parameters
    ----------
    data : bytes
        The file.
    rng : numpy.random.Generator
        Decides where and how.
    text : bool
        Whether it is text, whose numbers and words are exchanged, too.

    Returns
    -------
    bytes
        The damaged file; now and then it is equal to the whole one.
    """
    ways = [*WAYS, *(TEXT_WAYS if text else BINARY_WAYS)]
    for _ in range(int(rng.choice([1, 1, 1, 2, 4]))):
        data = ways[int(rng.integers(len(ways)))](data, rng)
    return data


def _place(data: bytes, rng: np.random.Generator) -> int:
    """Choose a place; headers and ends are short and matter most, so they are chosen more often."""
    n = len(data)
    where = rng.random()
    if where < 0.25:
        return int(rng.integers(0, min(n, 256) + 1))
    if where < 0.4:
        return int(rng.integers(max(0, n - 256), n + 1))
    return int(rng.integers(0, n + 1))


def _replaced(data: bytes, at: int, length: int, by: bytes) -> bytes:
    return data[:at] + by + data[at + length :]


def _flip(data: bytes, rng: np.random.Generator) -> bytes:
    changed = bytearray(data)
    for _ in range(int(rng.choice([1, 1, 2, 8, 64]))):
        if changed:
            changed[min(_place(data, rng), len(changed) - 1)] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def _noise(data: bytes, rng: np.random.Generator) -> bytes:
    length = int(rng.choice([1, 2, 4, 16, 256]))
    return _replaced(data, _place(data, rng), length, rng.bytes(length))


def _cut(data: bytes, rng: np.random.Generator) -> bytes:
    return data[: _place(data, rng)]


def _leave_out(data: bytes, rng: np.random.Generator) -> bytes:
    return _replaced(data, _place(data, rng), int(rng.integers(1, max(2, len(data) // 8))), b"")


def _double(data: bytes, rng: np.random.Generator) -> bytes:
    at = _place(data, rng)
    part = data[at : at + int(rng.integers(1, max(2, len(data) // 8)))]
    return _replaced(data, _place(data, rng), 0, part * int(rng.choice([1, 1, 2, 50])))


def _swap(data: bytes, rng: np.random.Generator) -> bytes:
    a, b = sorted((_place(data, rng), _place(data, rng)))
    n = int(rng.integers(1, 65))
    if b - a < n:
        return data
    return data[:a] + data[b : b + n] + data[a + n : b] + data[a : a + n] + data[b + n :]


def _limit(data: bytes, rng: np.random.Generator) -> bytes:
    width = int(rng.choice([1, 2, 4, 8]))
    number = LIMITS[int(rng.integers(len(LIMITS)))] & (2 ** (8 * width) - 1)
    return _replaced(data, _place(data, rng), width, number.to_bytes(width, str(rng.choice(["little", "big"]))))  # type: ignore[arg-type]


def _float(data: bytes, rng: np.random.Generator) -> bytes:
    number = float(rng.choice([np.nan, np.inf, -np.inf, 1e38, -1.0, 1e-40]))
    form = str(rng.choice(["<f", ">f", "<d", ">d"]))
    return _replaced(data, _place(data, rng), struct.calcsize(form), struct.pack(form, number))


def _number(data: bytes, rng: np.random.Generator) -> bytes:
    found = list(re.finditer(rb"-?\d+(\.\d+)?([eE][-+]?\d+)?", data))
    if not found:
        return _noise(data, rng)
    chosen = found[int(rng.integers(len(found)))]
    return _replaced(data, chosen.start(), len(chosen[0]), NUMBERS[int(rng.integers(len(NUMBERS)))])


def _word(data: bytes, rng: np.random.Generator) -> bytes:
    found = list(re.finditer(rb'"[^"\n]*"|[A-Za-z_]+', data))
    if not found:
        return _noise(data, rng)
    one, other = (found[int(rng.integers(len(found)))] for _ in range(2))
    by = other[0] if rng.random() < 0.5 else NUMBERS[int(rng.integers(len(NUMBERS)))]
    return _replaced(data, one.start(), len(one[0]), by)


def _insert(data: bytes, rng: np.random.Generator) -> bytes:
    return _replaced(data, _place(data, rng), int(rng.integers(0, 2)), TEXTS[int(rng.integers(len(TEXTS)))])


def _line(data: bytes, rng: np.random.Generator) -> bytes:
    lines = data.splitlines(keepends=True)
    if len(lines) < 2:
        return _double(data, rng)
    one, other = (int(k) for k in rng.integers(len(lines), size=2))
    lines.insert(other, lines[one] if rng.random() < 0.5 else lines.pop(one))
    return b"".join(lines)


def repeated_gzip(head: bytes, part: bytes, times: int) -> bytes:
    """Compress a text of many equal parts, without holding it.

    Parameters
    ----------
    head, part : bytes
        The text is `head`, then `part` again and again.
    times : int
        How often, about.

    Returns
    -------
    bytes
        A gzip file.
    """
    buffer = io.BytesIO()
    block = part * (2**20 // len(part))
    with gzip.GzipFile(fileobj=buffer, mode="wb", compresslevel=1, mtime=0) as stream:
        stream.write(head)
        for _ in range(times // (2**20 // len(part)) + 1):
            stream.write(block)
    return buffer.getvalue()


def repeated_zip(members: dict[str, tuple[bytes, bytes, int]]) -> bytes:
    """Compress members of many equal parts, without holding them.

    Parameters
    ----------
    members : dict
        Name to head, part, and how often it is repeated.

    Returns
    -------
    bytes
        A zip archive.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, (head, part, times) in members.items():
            with archive.open(name, "w") as stream:
                stream.write(head)
                block = part * max(1, 2**20 // max(1, len(part)))
                for _ in range(times * len(part) // len(block) if part else 0):
                    stream.write(block)
    return buffer.getvalue()


WAYS: tuple[Mutate, ...] = (_flip, _noise, _cut, _leave_out, _double, _swap)
TEXT_WAYS: tuple[Mutate, ...] = (_number, _number, _number, _word, _word, _insert, _insert, _line)
BINARY_WAYS: tuple[Mutate, ...] = (_flip, _flip, _limit, _limit, _limit, _float)


def within_zip(data: bytes, rng: np.random.Generator) -> bytes:
    """Damage one member of a zip archive, and pack it again with the right checksum.

    Parameters
    ----------
    data : bytes
        The archive.
    rng : numpy.random.Generator
        Decides where and how.

    Returns
    -------
    bytes
        A sound archive with a damaged member.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(buffer, "w") as new:
        entries = old.infolist()
        weights = np.array([entry.file_size + 512 for entry in entries], dtype=float)
        chosen = int(rng.choice(len(entries), p=weights / weights.sum()))
        for k, entry in enumerate(entries):
            content = old.read(entry)
            if k == chosen:
                content = damaged(content, rng, text=entry.filename.endswith(".json"))
            new.writestr(entry.filename, content, entry.compress_type)
    return buffer.getvalue()


def within_gzip(data: bytes, rng: np.random.Generator) -> bytes:
    """Damage the text that a gzip file holds, and pack it again with the right checksum.

    Parameters
    ----------
    data : bytes
        The file.
    rng : numpy.random.Generator
        Decides where and how.

    Returns
    -------
    bytes
        A sound gzip file with damaged text.
    """
    return gzip.compress(damaged(gzip.decompress(data), rng, text=True), mtime=0)
