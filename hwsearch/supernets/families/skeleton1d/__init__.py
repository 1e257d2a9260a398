"""An ensemble of residual 1-D convolutional networks over skeleton sequences."""

from hwsearch.supernets.families.skeleton1d.config import Skeleton1DConfig
from hwsearch.supernets.families.skeleton1d.entries import ENTRY
from hwsearch.supernets.families.skeleton1d.supernet import Skeleton1D

__all__ = ["ENTRY", "Skeleton1D", "Skeleton1DConfig"]
