"""Read the card of an exported model, and tell whether the model is still the one that it describes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from hwsearch._json import JsonObject, is_number
from hwsearch.errors import ExportError
from latency_tables.reading import ReadingError, parse_json, read_text

#: what the card of a subnet tells besides its files
OF_SUBNET = ("latency", "supernet")


def read_card(path: Path, needs: Sequence[str] = OF_SUBNET) -> JsonObject:
    """Read the card that lies beside an exported model.

    Parameters
    ----------
    path : Path
        A .json file that `write_bundle` wrote.
    needs : sequence of str
        Keys whose values must be objects; by default those of a subnet.

    Returns
    -------
    dict
        The card, with ``files`` (name and bytes of each), ``difference_from_torch``, and what it `needs`.

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
    for key in needs:
        if not isinstance(card.get(key), dict):
            raise _not_a_card(path, f"{key} is not a JSON object")
    return card


def intact_card(path: Path, needs: Sequence[str] = OF_SUBNET) -> JsonObject | None:
    """Read the card of a model whose files all have the content that the card was written for.

    The card is written after its files, so that an export which was cut off, or files changed since, are found by their SHA-256.

    Parameters
    ----------
    path : Path
        The card.
    needs : sequence of str
        As `read_card` takes it.

    Returns
    -------
    dict or None
        The card; None if it or a file is missing, damaged or another one.
    """
    try:
        card = read_card(path, needs)
        for told in card["files"]:
            with path.with_name(told["file"]).open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != told.get("sha256"):
                    return None
    except (OSError, ExportError):
        return None
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
