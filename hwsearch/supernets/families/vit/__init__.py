"""Elastic vision transformers (ViT, DeiT)."""

from hwsearch.supernets.families.vit.config import ElasticViTConfig
from hwsearch.supernets.families.vit.entries import B16, B16_HALF
from hwsearch.supernets.families.vit.subnet import ViTSubnet
from hwsearch.supernets.families.vit.supernet import ElasticViT

__all__ = ["B16", "B16_HALF", "ElasticViT", "ElasticViTConfig", "ViTSubnet"]
