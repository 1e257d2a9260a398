"""Elastic BERT for sequence classification."""

from hwsearch.supernets.families.bert.config import BASE, ElasticBertConfig
from hwsearch.supernets.families.bert.entries import ENTRY
from hwsearch.supernets.families.bert.subnet import BertSubnet
from hwsearch.supernets.families.bert.supernet import ElasticBert

__all__ = ["BASE", "BertSubnet", "ENTRY", "ElasticBert", "ElasticBertConfig"]
