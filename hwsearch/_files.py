"""Write files by `latency_tables.writing`, the one writer, and read TOML by `latency_tables.reading`, with errors of `hwsearch`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from hwsearch.errors import ConfigError, OutputError
from latency_tables import writing
from latency_tables.reading import ReadingError, parse_toml, read_text
from latency_tables.writing import Recogniser, WritingError, anything, containing, forced, json_with, overwriting

__all__ = [
    "Recogniser",
    "anything",
    "check_no_input",
    "check_place",
    "containing",
    "forced",
    "json_with",
    "new_content",
    "overwriting",
    "own_folder",
    "toml_tables",
    "toml_text",
    "write_file",
]


@contextmanager
def _output_errors() -> Iterator[None]:
    try:
        yield
    except WritingError as error:
        raise OutputError(error.message, hint=error.hint) from error


def check_place(path: Path, ours: Recogniser) -> None:
    """Check that a file may be written, before anything is.

    Parameters
    ----------
    path : Path
        The file.
    ours : callable
        Recognises files of this kind that this program wrote.

    Raises
    ------
    OutputError
        If there is a link, a folder or a device, or (unless `overwriting`) a file that this program did not write.
    """
    with _output_errors():
        writing.check_place(path, ours)


def check_no_input(path: Path, *inputs: Path | str | None) -> None:
    """Check that a file to be written is none of those that are read for it, which would be lost.

    Parameters
    ----------
    path : Path
        The file to be written.
    *inputs : Path, str or None
        Files that are read.

    Raises
    ------
    OutputError
        If it is one of them, by any name; also where files are to be replaced.
    """
    if path.exists() and any(i is not None and Path(i).exists() and path.samefile(i) for i in inputs):
        raise OutputError(
            f"{str(path)!r} is read for what would replace it.", hint="Give another place for the result."
        )


def own_folder(path: Path) -> Path:
    """Make a folder of the program's own, such as ``plots/`` of a campaign.

    Parameters
    ----------
    path : Path
        The folder; missing parents are made.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    OutputError
        If it is a link, or no folder.
    """
    with _output_errors():
        return writing.own_folder(path)


@contextmanager
def new_content(path: Path, ours: Recogniser) -> Iterator[BinaryIO]:
    """Write a file part by part through a temporary one, so that a reader never sees half of it.

    Parameters
    ----------
    path : Path
        The file; its folder must exist.
    ours : callable
        Recognises files of this kind that this program wrote, which are replaced.

    Yields
    ------
    BinaryIO
        Takes the content. The file is replaced when the block ends, and left as it is when the block raises.

    Raises
    ------
    OutputError
        If there is a link, or something that this program did not write, see `check_place`.
    OSError
        If it cannot be written.
    """
    with _output_errors(), writing.new_content(path, ours) as stream:
        yield stream


def write_file(path: Path, data: bytes, ours: Recogniser) -> None:
    """Write a file through a temporary one, so that a reader never sees half of it.

    Parameters
    ----------
    path : Path
        The file; its folder must exist.
    data : bytes
        Its content.
    ours : callable
        Recognises files of this kind that this program wrote, which are replaced.

    Raises
    ------
    OutputError
        If there is a link, or something that this program did not write, see `check_place`.
    OSError
        If it cannot be written.
    """
    with _output_errors():
        writing.write_file(path, data, ours)


def toml_text(path: Path) -> str:
    """Read the text of a TOML file.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    str
        Its text.

    Raises
    ------
    ConfigError
        If it cannot be read, or is no text.
    """
    try:
        return read_text(path)
    except ReadingError as error:
        raise ConfigError(f"{error}.") from error


def toml_tables(text: str, source: str) -> dict[str, Any]:
    """Parse TOML.

    Parameters
    ----------
    text : str
        The text.
    source : str
        Where it comes from, for the message.

    Returns
    -------
    dict
        Tables and values.

    Raises
    ------
    ConfigError
        If it is no TOML; names the source and the line.
    """
    try:
        return parse_toml(text)
    except ReadingError as error:
        raise ConfigError(f"{source}: {error}.") from error
