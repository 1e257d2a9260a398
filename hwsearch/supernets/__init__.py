"""Weight-sharing supernets: elastic layers, one file a family, checkpoints, the catalogue."""

from hwsearch.supernets.base import Supernet
from hwsearch.supernets.entry import LoadedSupernet, SupernetEntry

__all__ = ["LoadedSupernet", "Supernet", "SupernetEntry"]
