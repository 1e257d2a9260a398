"""Weight-sharing supernets: elastic layers, one file a family, checkpoints, the catalogue."""

from hwsearch._verbs import make_callable
from hwsearch.supernets.base import Supernet

__all__ = ["Supernet"]

make_callable(__name__)
