"""Read text, TOML and JSON that anybody may have written: one kind of error for all that can be wrong with it."""

from __future__ import annotations

import gzip
import io
import json
import tomllib
import zlib
from pathlib import Path
from typing import Any

#: byte order marks and what they say of the text behind
MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
#: the whole numbers of 64 bits: those that TOML promises; no setting and no measurement takes another
SMALLEST, LARGEST = -(2**63), 2**63 - 1
#: bytes of text that a packed file may become
MOST_TEXT = 128 * 2**20


class ReadingError(ValueError):
    """Text that is not what it should be; the message says why, and not where it came from."""


def decode(data: bytes) -> str:
    r"""Decode text by its byte order mark, or as UTF-8.

    Parameters
    ----------
    data : bytes
        Contents of a file.

    Returns
    -------
    str
        Without the mark.

    Raises
    ------
    ReadingError
        If it is not text in that encoding.

    Examples
    --------
    >>> decode(b"\xef\xbb\xbfa = 1")
    'a = 1'
    """
    encoding = next((name for mark, name in MARKS if data.startswith(mark)), "utf-8")
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        where = f"byte {error.object[error.start]:#04x} at {error.start}"
        raise ReadingError(f"not {encoding.removesuffix('-sig').upper()} text ({where}); save it as UTF-8") from error


def unpack_gzip(data: bytes) -> bytes:
    """Unpack a gzip file, up to `MOST_TEXT` bytes.

    Parameters
    ----------
    data : bytes
        The file.

    Returns
    -------
    bytes
        What it holds, with the right checksum.

    Raises
    ------
    ReadingError
        If it is cut or damaged, or holds more.

    Examples
    --------
    >>> unpack_gzip(gzip.compress(b"a,b"))
    b'a,b'
    """
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
            found = stream.read(MOST_TEXT + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise ReadingError(f"not a whole gzip file: {error}") from error
    if len(found) > MOST_TEXT:
        raise ReadingError(f"larger than {MOST_TEXT // 2**20} MiB when unpacked")
    return found


def read_text(path: Path) -> str:
    """Read a file of text; see `decode`.

    Parameters
    ----------
    path : pathlib.Path
        The file.

    Returns
    -------
    str
        Its text.

    Raises
    ------
    ReadingError
        If it cannot be read or is not text; here the message names the file.
    """
    try:
        return decode(path.read_bytes())
    except OSError as error:
        raise ReadingError(f"cannot read {str(path)!r}: {error.strerror}") from error
    except ReadingError as error:
        raise ReadingError(f"{str(path)!r} is {error}") from error


def parse_toml(text: str) -> dict[str, Any]:
    r"""Read a TOML document.

    Parameters
    ----------
    text : str
        The document; a byte order mark at its start is skipped.

    Returns
    -------
    dict
        The document.

    Raises
    ------
    ReadingError
        If it is not TOML, is nested too deeply, or has a whole number of more than 64 bits.

    Examples
    --------
    >>> parse_toml("[search]\nrounds = 3")
    {'search': {'rounds': 3}}
    """
    try:
        found = tomllib.loads(text.removeprefix("\ufeff"))
        _check_numbers(found, "")
    except RecursionError as error:
        raise ReadingError("nested too deeply") from error
    except ReadingError:
        raise
    except ValueError as error:  # also numbers of thousands of digits
        raise ReadingError(str(error)) from error
    return found


def parse_json(text: str | bytes) -> Any:
    """Read a JSON document.

    Parameters
    ----------
    text : str or bytes
        The document.

    Returns
    -------
    object
        What it says.

    Raises
    ------
    ReadingError
        If it is not JSON, is nested too deeply, or has a number of thousands of digits.

    Examples
    --------
    >>> parse_json("[1, 2]")
    [1, 2]
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ReadingError("nested too deeply") from error
    except ValueError as error:  # of the syntax, of the encoding, of the digits
        raise ReadingError(str(error)) from error


def _check_numbers(value: Any, where: str) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            _check_numbers(item, f"{where}.{key}" if where else key)
    elif isinstance(value, list):
        for i, item in enumerate(value):
            _check_numbers(item, f"{where}[{i}]")
    elif isinstance(value, int) and not SMALLEST <= value <= LARGEST:
        raise ReadingError(f"{where} = {str(value)[:12]}… is too large a number")
