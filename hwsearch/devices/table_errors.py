"""Errors of latency tables as errors of `hwsearch`; the one place where they are translated."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from hwsearch.errors import HwsearchError
from latency_tables import TableError


@contextmanager
def translated_table_errors(kind: type[HwsearchError], prefix: str = "", *, hint: str | None = None) -> Iterator[None]:
    """Raise a `latency_tables.TableError` within the context as an error of `hwsearch`.

    Parameters
    ----------
    kind : type of HwsearchError
        What is raised.
    prefix : str
        Begins the message; the table's own message follows.
    hint : str, optional
        What to do about it.

    Yields
    ------
    None
        Within, errors of tables are translated.

    Raises
    ------
    HwsearchError
        Of the given kind.
    """
    try:
        yield
    except TableError as error:
        raise kind(f"{prefix}{error}", hint=hint) from error
