"""Weight-sharing supernets: elastic layers, one file a family, checkpoints, the catalogue."""

from hwsearch.supernets.base import Supernet

__all__ = ["Supernet"]
