"""Plain layers that a declaration can cut, and the sliced layers that take their place."""

from __future__ import annotations

from torch import nn

from hwsearch.supernets.layers.sliced.conv import SlicedConv2d
from hwsearch.supernets.layers.sliced.linear import SlicedLinear
from hwsearch.supernets.layers.sliced.norm import SlicedBatchNorm1d, SlicedBatchNorm2d, SlicedGroupNorm, SlicedLayerNorm

SlicedLayer = SlicedConv2d | SlicedLinear | SlicedBatchNorm1d | SlicedBatchNorm2d | SlicedLayerNorm | SlicedGroupNorm


#: plain layer → what takes its place
SLICED: dict[type[nn.Module], type[SlicedLayer]] = {
    nn.Conv2d: SlicedConv2d,
    nn.Linear: SlicedLinear,
    nn.BatchNorm1d: SlicedBatchNorm1d,
    nn.BatchNorm2d: SlicedBatchNorm2d,
    nn.LayerNorm: SlicedLayerNorm,
    nn.GroupNorm: SlicedGroupNorm,
}
