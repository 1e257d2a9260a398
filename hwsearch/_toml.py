"""Read TOML with errors of `hwsearch`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hwsearch.errors import ConfigError
from latency_tables.reading import ReadingError, parse_toml, read_text


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
