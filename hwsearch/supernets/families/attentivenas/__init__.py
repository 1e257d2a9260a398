"""Elastic MobileNetV3 with elastic widths: BigNAS, AttentiveNAS, AlphaNet."""

from hwsearch.supernets.families.attentivenas.blocks import ElasticWideBlock, WideBlock
from hwsearch.supernets.families.attentivenas.config import AttentiveNASConfig, WideStage
from hwsearch.supernets.families.attentivenas.entries import ALPHANET, ATTENTIVENAS
from hwsearch.supernets.families.attentivenas.supernet import AttentiveNAS

__all__ = [
    "ALPHANET",
    "ATTENTIVENAS",
    "AttentiveNAS",
    "AttentiveNASConfig",
    "ElasticWideBlock",
    "WideBlock",
    "WideStage",
]
