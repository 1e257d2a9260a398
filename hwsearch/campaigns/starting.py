"""Subnets that a campaign starts from: cards that `prune` and `export` wrote."""

from __future__ import annotations

from pathlib import Path

from hwsearch.errors import CampaignError, HwsearchError
from hwsearch.spaces import Architecture, SearchSpace
from latency_tables.reading import ReadingError, decode, parse_json


def starting_subnet(place: str | Path, space: SearchSpace) -> Architecture:
    """Read the architecture of a subnet's card.

    Parameters
    ----------
    place : str or Path
        A card, ``NAME.json``, with the table ``architecture``.
    space : SearchSpace
        The campaign's search space.

    Returns
    -------
    Architecture
        An architecture of the space.

    Raises
    ------
    CampaignError
        If there is no such file, it is no card, or its subnet is of another search space.
    """

    def refused(why: str, hint: str) -> CampaignError:
        return CampaignError(f"[search] warm_start names {str(place)!r}, {why}.", hint=hint)

    write = "Give a card that 'hwsearch prune' or 'hwsearch export' wrote, or the folder of a campaign."
    try:
        found = parse_json(decode(Path(place).read_bytes()))
    except OSError as error:
        raise refused(f"which cannot be read ({error.strerror})", write) from error
    except ReadingError as error:
        raise refused(f"which is no JSON: {error}", write) from error
    about = found.get("architecture") if isinstance(found, dict) else None
    genes = about.get("genes") if isinstance(about, dict) else None
    if not isinstance(genes, dict):
        raise refused("which is no card of a subnet: it has no genes", write)
    try:
        return space.architecture(genes)
    except HwsearchError as error:
        raise refused(f"whose subnet is not of search space {space.name!r}: {error.message}", write) from error
