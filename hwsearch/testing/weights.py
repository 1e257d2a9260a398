"""Random weights that can be made again anywhere; see `hwsearch.supernets.seeded`."""

from hwsearch.supernets.seeded import seeded_weights

__all__ = ["seeded_weights"]
