"""Elastic MobileNetV3 of Once-for-All."""

from hwsearch.supernets.families.mobilenetv3.config import MobileNetV3Config, Stage
from hwsearch.supernets.families.mobilenetv3.subnet import MobileNetV3Subnet
from hwsearch.supernets.families.mobilenetv3.supernet import ElasticMobileNetV3

__all__ = ["ElasticMobileNetV3", "MobileNetV3Config", "MobileNetV3Subnet", "Stage"]
