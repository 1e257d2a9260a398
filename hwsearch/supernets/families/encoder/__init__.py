"""Transformer encoders with elastic depth, heads and feed-forward width: the common part of BERT and ViT."""

from hwsearch.supernets.families.encoder.config import EncoderConfig
from hwsearch.supernets.families.encoder.layers import ElasticEncoderLayer
from hwsearch.supernets.families.encoder.supernet import ElasticEncoder

__all__ = ["ElasticEncoder", "ElasticEncoderLayer", "EncoderConfig"]
