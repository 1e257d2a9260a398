"""The catalogue: supernets by name, each with a card."""

from __future__ import annotations

import sys
import traceback
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from hwsearch.errors import SupernetError, describe, foreign_code, nearest
from hwsearch.registry import Registry
from hwsearch.supernets.entry import LoadedSupernet, SupernetEntry

SUPERNETS: Registry[SupernetEntry] = Registry(
    "hwsearch.supernets",
    "supernet",
    SupernetError,
    lambda found: isinstance(found, SupernetEntry),
    "a SupernetEntry",
)


def load_supernet(name: str, checkpoint: str | None = None, sort: bool = False) -> LoadedSupernet:
    """Load a supernet with its weights.

    Parameters
    ----------
    name : str
        As in `entry`.
    checkpoint : str, optional
        A weight file; the shipped one where none is given.
    sort : bool
        Put channels in order of importance first.

    Returns
    -------
    LoadedSupernet
        The supernet with weights.

    Raises
    ------
    SupernetError
        If there is no such supernet, or it cannot be built.
    CheckpointError
        If the weights are missing or do not fit.
    """
    loaded = entry(name).load(Path(checkpoint) if checkpoint else None)
    if sort:
        loaded.net.sort_channels()
        loaded = LoadedSupernet.of(loaded.entry, loaded.net)
    return loaded


def names() -> list[str]:
    """List the names of all supernets that can be loaded, ours and those of installed packages.

    Returns
    -------
    list of str
        Names that `entry` takes, sorted.
    """
    return SUPERNETS.names()


def entry(name: str) -> SupernetEntry:
    """Find a supernet's entry.

    Parameters
    ----------
    name : str
        A name of the catalogue, or a place in your own code: ``package.module:ENTRY`` or ``folder/file.py:ENTRY``.

    Returns
    -------
    SupernetEntry
        The entry.

    Raises
    ------
    SupernetError
        If there is none.
    """
    if not isinstance(name, str):
        raise SupernetError(
            f"{name!r} is no name of a supernet.", hint="Give a name of the catalogue, or file.py:ENTRY."
        )
    if ":" in name:
        return _entry_in_code(name)
    return SUPERNETS.load(name)


def _entry_in_code(name: str) -> SupernetEntry:
    place, _, attribute = name.rpartition(":")

    def not_imported(error: BaseException) -> SupernetError:
        at = traceback.extract_tb(error.__traceback__)[-1]
        where = f" ({at.filename}, line {at.lineno})" if at.filename.endswith(f"{Path(place).stem}.py") else ""
        return SupernetError(f"supernet {name!r}: {place!r} cannot be imported: {describe(error)}{where}.")

    with foreign_code(not_imported):
        if place.endswith(".py"):
            spec = spec_from_file_location(f"hwsearch_user_{Path(place).stem}", place)
            assert spec is not None and spec.loader is not None
            module = sys.modules[spec.name] = module_from_spec(spec)
            spec.loader.exec_module(module)
        else:
            module = import_module(place)
    found = getattr(module, attribute, None)
    if not isinstance(found, SupernetEntry):
        entries = [k for k, v in vars(module).items() if isinstance(v, SupernetEntry)]
        raise SupernetError(
            f"supernet {name!r}: {place!r} has no SupernetEntry {attribute!r}.", hint=nearest(attribute, entries)
        )
    return found
