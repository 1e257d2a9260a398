"""Traces of a host's speed along time: what `hwsearch doctor --record` writes and a simulated device can be put on."""

from __future__ import annotations

import csv
import gzip
import io
import math
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from hwsearch._files import write_file
from hwsearch.errors import DeviceError
from latency_tables.reading import ReadingError, decode, unpack_gzip

#: a look a second for a week, and more
MOST_MOMENTS = 1_000_000


class Moment(NamedTuple):
    """A look at the host.

    Attributes
    ----------
    seconds : float
        Since the recording began.
    latency_ms : float
        Median latency of a small network, ms.
    steal_percent : float
        Time that a virtual machine wanted to run and was not let, since the look before, in per cent of all cores' time; NaN
        where the system does not tell.
    waiting_percent : float
        Time that some process waited for a core (pressure stall information), per cent of the time since the look before;
        NaN where the system does not tell.
    """

    seconds: float
    latency_ms: float
    steal_percent: float = math.nan
    waiting_percent: float = math.nan


def write_trace(trace: Sequence[Moment], path: Path) -> Path:
    """Write a trace as CSV, compressed where the name ends in ``.gz``.

    Parameters
    ----------
    trace : sequence of Moment
        What was recorded.
    path : pathlib.Path
        The file; its folder is made if missing.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    DeviceError
        If it cannot be written.
    """
    text = io.StringIO(newline="")
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(Moment._fields)
    rows.writerows(["" if math.isnan(x) else repr(x) for x in m] for m in trace)
    data = text.getvalue().encode()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, gzip.compress(data, mtime=0) if path.suffix == ".gz" else data, _is_trace)
    except OSError as error:
        raise DeviceError(f"the trace cannot be written to {str(path)!r}: {error.strerror}.") from error
    return path


def _is_trace(head: bytes) -> bool:
    """Recognise a trace by its header; of a compressed one the first bytes are enough."""
    if head[:2] == b"\x1f\x8b":
        head = zlib.decompressobj(wbits=31).decompress(head, 1 << 12)
    return head.startswith(",".join(Moment._fields).encode())


def read_trace(path: Path) -> list[Moment]:
    """Read a trace that `write_trace` wrote.

    Parameters
    ----------
    path : pathlib.Path
        The file.

    Returns
    -------
    list of Moment
        As they were recorded.

    Raises
    ------
    DeviceError
        If there is no such file, or it is no trace; the line is named.
    """
    try:
        data = path.read_bytes()
        text = decode(unpack_gzip(data) if path.suffix == ".gz" else data)
    except OSError as error:
        raise DeviceError(f"the trace {str(path)!r} cannot be read: {error.strerror or error}.") from error
    except ReadingError as error:
        raise DeviceError(f"the trace {str(path)!r} cannot be read: it is {error}.") from error
    rows = csv.reader(io.StringIO(text))
    if tuple(_next_row(rows, 1, path) or ()) != Moment._fields:
        raise DeviceError(
            f"{str(path)!r} is not a trace of a host: its first line is not {','.join(Moment._fields)}.",
            hint="Record one with 'hwsearch doctor --seconds 120 --record FILE.csv'.",
        )
    found: list[Moment] = []
    while (row := _next_row(rows, number := len(found) + 2, path)) is not None:
        if len(found) == MOST_MOMENTS:
            raise DeviceError(f"the trace {str(path)!r} has more than {MOST_MOMENTS} moments.")
        try:
            moment = Moment(*(float(x) if x else math.nan for x in row))
        except (TypeError, ValueError) as error:
            raise DeviceError(f"line {number} of {str(path)!r} is not a moment of a host: {str(row)[:200]}.") from error
        if len(row) != len(Moment._fields) or not (moment.latency_ms > 0 and math.isfinite(moment.seconds)):
            raise DeviceError(f"line {number} of {str(path)!r} is not a moment of a host: {str(row)[:200]}.")
        found.append(moment)
    return found


def _next_row(rows: Iterator[list[str]], number: int, path: Path) -> list[str] | None:
    try:
        return next(rows, None)
    except csv.Error as error:
        raise DeviceError(f"line {number} of {str(path)!r} is not a moment of a host: {error}.") from error
