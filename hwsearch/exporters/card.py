"""Read the card of an exported model."""

from __future__ import annotations

from pathlib import Path

from hwsearch._json import JsonObject, is_number
from hwsearch.errors import ExportError
from latency_tables.reading import ReadingError, parse_json, read_text


def read_card(path: Path) -> JsonObject:
    """Read the card that lies beside an exported model.

    Parameters
    ----------
    path : Path
        A .json file that `write_bundle` wrote.

    Returns
    -------
    dict
        The card, with ``files`` (name and bytes of each), ``latency`` by device, ``supernet`` and ``difference_from_torch``.

    Raises
    ------
    ExportError
        If the file cannot be read, or is not a card.
    """
    try:
        card = parse_json(read_text(path))
    except ReadingError as error:
        raise ExportError(f"the card {str(path)!r} cannot be read: {error}.", hint="Export the model again.") from error
    if not isinstance(card, dict):
        raise _not_a_card(path, "it is not a JSON object")
    difference, files = card.get("difference_from_torch"), card.get("files")
    if not is_number(difference) or difference < 0:
        raise _not_a_card(path, f"difference_from_torch is {str(difference)[:60]}")
    if not isinstance(files, list) or not files or not all(map(_is_file, files)):
        raise _not_a_card(path, "it does not say which files belong to it")
    for key in ("latency", "supernet"):
        if not isinstance(card.get(key), dict):
            raise _not_a_card(path, f"{key} is not a JSON object")
    return card


def _is_file(entry: object) -> bool:
    """Tell whether an entry names a file of the card's own folder, and its length."""
    if not isinstance(entry, dict) or not isinstance(entry.get("file"), str):
        return False
    name, length = entry["file"], entry.get("bytes")
    inside = name == Path(name).name and "\0" not in name and name not in ("", ".", "..")
    return inside and isinstance(length, int) and not isinstance(length, bool) and 0 <= length < 2**63


def _not_a_card(path: Path, why: str) -> ExportError:
    return ExportError(f"{str(path)!r} is not the card of a model: {why}.", hint="Export the model again.")
