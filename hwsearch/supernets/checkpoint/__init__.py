"""Weight files: reading, matching with a network, loading and writing."""

from hwsearch.supernets.checkpoint.loading import Uninitialised, cut, load_weights
from hwsearch.supernets.checkpoint.matching import Fit, compare, not_finite
from hwsearch.supernets.checkpoint.reading import read_state, rows_of, shape_of
from hwsearch.supernets.checkpoint.writing import digest, save_weights, write_safetensors

__all__ = [
    "Fit",
    "Uninitialised",
    "compare",
    "cut",
    "digest",
    "load_weights",
    "not_finite",
    "read_state",
    "rows_of",
    "save_weights",
    "shape_of",
    "write_safetensors",
]
