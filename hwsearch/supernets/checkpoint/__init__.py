"""Weight files: reading, matching with a network, loading and writing."""

from hwsearch.supernets.checkpoint.loading import Uninitialised, extract_subnet, load_weights
from hwsearch.supernets.checkpoint.matching import CheckpointMatch, compare, not_finite
from hwsearch.supernets.checkpoint.reading import read_state, rows_of, shape_of
from hwsearch.supernets.checkpoint.torch_file import read_checkpoint
from hwsearch.supernets.checkpoint.writing import WEIGHTS, digest, save_weights, write_safetensors

__all__ = [
    "WEIGHTS",
    "CheckpointMatch",
    "Uninitialised",
    "compare",
    "extract_subnet",
    "digest",
    "load_weights",
    "not_finite",
    "read_checkpoint",
    "read_state",
    "rows_of",
    "save_weights",
    "shape_of",
    "write_safetensors",
]
