"""Files of every kind that the product reads: a valid one, how it is damaged, how it is read, and what is right of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.hostile_mutations import Mutate, damaged


@dataclass(frozen=True)
class Kind:
    """One kind of file.

    Attributes
    ----------
    name : str
        Its name.
    file : str
        Name of the file, with its ending; in a folder where there are others beside it.
    data : bytes
        The valid file.
    read : callable
        The product's reader, from the path to a plain value.
    fits : callable
        Whether a value read from a damaged file lies in its legal range.
    equal : callable
        Whether a value is that of the valid file.
    text : bool
        Whether the file is text.
    checksum : bool
        Whether the format carries a checksum over all values, so that a damaged file is refused or is read as the valid one.
    repack : callable, optional
        Damages what a container holds and packs it again, with a right checksum; half of the files are made so.
    beside : callable, optional
        Writes what must lie beside the file into its folder.
    crafted : sequence of bytes or callables that return them
        Files made by hand that come first: those that announce more than there is, and the like. They must be refused.
    """

    name: str
    file: str
    data: bytes
    read: Callable[[Path], Any]
    fits: Callable[[Any], bool]
    equal: Callable[[Any], bool]
    text: bool = False
    checksum: bool = False
    repack: Mutate | None = None
    beside: Callable[[Path], None] | None = None
    crafted: Sequence[bytes | Callable[[], bytes]] = field(default_factory=tuple)

    def damaged(self, index: int, seed: int) -> tuple[bytes, Callable[[Any], bool]]:
        """Make a damaged file.

        Parameters
        ----------
        index, seed : int
            Decide the damage.

        Returns
        -------
        data : bytes
            The file.
        right : callable
            Whether a value read from it is right.
        """
        if index < len(self.crafted):
            made = self.crafted[index]
            return made if isinstance(made, bytes) else made(), lambda found: False
        rng = np.random.default_rng([seed, index, *self.name.encode()])
        if self.repack is not None and rng.random() < 0.5:
            return self.repack(self.data, rng), self.fits
        found = damaged(self.data, rng, text=self.text)
        return found, self.equal if self.checksum or found == self.data else self.fits

    def placed(self, folder: Path, data: bytes) -> Path:
        """Write a file where it is read.

        Parameters
        ----------
        folder : pathlib.Path
            Of this process.
        data : bytes
            The file.

        Returns
        -------
        pathlib.Path
            The file, in an otherwise fresh folder.
        """
        place = folder / "case"
        shutil.rmtree(place, ignore_errors=True)
        path = place / self.file
        path.parent.mkdir(parents=True)
        if self.beside is not None:
            self.beside(place)
        path.write_bytes(data)
        return path


def kinds() -> dict[str, Callable[[Path], Kind]]:
    """Return functions that make each kind, given a folder to work in.

    Returns
    -------
    dict
        By name, in the order in which they are reported.
    """
    from benchmarks import hostile_arrays, hostile_data, hostile_pairs, hostile_texts

    return {**hostile_texts.KINDS, **hostile_arrays.KINDS, **hostile_data.KINDS, **hostile_pairs.KINDS}
