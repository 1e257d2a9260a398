"""HAT, the elastic Transformer for translation."""

from hwsearch.supernets.families.hat.config import HatConfig
from hwsearch.supernets.families.hat.entries import ENTRY
from hwsearch.supernets.families.hat.subnet import HatSubnet
from hwsearch.supernets.families.hat.supernet import HatTransformer

__all__ = ["ENTRY", "HatConfig", "HatSubnet", "HatTransformer"]
