"""Elastic ResNet-50-D of Once-for-All."""

from hwsearch.supernets.families.resnet.config import ResNetConfig
from hwsearch.supernets.families.resnet.subnet import ResNetSubnet
from hwsearch.supernets.families.resnet.supernet import ElasticResNet

__all__ = ["ElasticResNet", "ResNetConfig", "ResNetSubnet"]
