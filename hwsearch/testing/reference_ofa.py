"""The authors' own Once-for-All code (PyPI ``ofa``, MIT), to compare with.

Cai et al., 2020, arXiv 1908.09791. The package imports torchvision and gdown for data and downloads only; empty
stand-ins are enough for its models.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import numpy as np
from torch import nn

from hwsearch.errors import SupernetError
from hwsearch.spaces import Architecture
from hwsearch.supernets.base import Supernet
from hwsearch.supernets.checkpoint.loading import Uninitialised
from hwsearch.supernets.families.mobilenetv3.supernet import ElasticMobileNetV3
from hwsearch.supernets.families.resnet.supernet import ElasticResNet


def load() -> ModuleType:
    """Import the reference's networks.

    Returns
    -------
    module
        ``ofa.imagenet_classification.elastic_nn.networks``.

    Raises
    ------
    SupernetError
        If the package is not installed.
    """
    torchvision, transforms, functional = (
        ModuleType(n) for n in ("torchvision", "torchvision.transforms", "torchvision.transforms.functional")
    )
    torchvision.transforms = transforms  # type: ignore[attr-defined]
    transforms.functional = functional  # type: ignore[attr-defined]
    transforms.RandomResizedCrop = type("RandomResizedCrop", (), {})  # type: ignore[attr-defined]
    added = {m.__name__: m for m in (torchvision, transforms, functional) if m.__name__ not in sys.modules}
    sys.modules.update(added)
    try:
        from ofa.imagenet_classification.elastic_nn import networks
    except ImportError as error:
        raise SupernetError("the reference package 'ofa' is not installed.", hint="pip install ofa") from error
    finally:
        for name in added:
            del sys.modules[name]
    return networks  # type: ignore[no-any-return]


def build(ours: Supernet) -> nn.Module:
    """Build the reference's supernet of the same shape, with weights of its own.

    Parameters
    ----------
    ours : Supernet
        An `ElasticResNet` or `ElasticMobileNetV3` of the published shapes.

    Returns
    -------
    nn.Module
        The reference's supernet.

    Raises
    ------
    SupernetError
        If the reference has no such network.
    """
    networks = load()
    if isinstance(ours, ElasticResNet):
        return networks.OFAResNets(  # type: ignore[no-any-return]
            ours.classes,
            dropout_rate=0.0,
            depth_list=list(ours.config.extra),
            expand_ratio_list=list(ours.config.expansions),
            width_mult_list=list(ours.config.multipliers),
        )
    if not isinstance(ours, ElasticMobileNetV3):
        raise SupernetError(f"the reference has no {type(ours).__name__}.")
    _, family, width = ours.config.name.split("-")
    proxyless = family == "proxylessnas"
    make = networks.OFAProxylessNASNets if proxyless else networks.OFAMobileNetV3
    return make(  # type: ignore[no-any-return]
        ours.classes,
        dropout_rate=0.0,
        width_mult=float(width[1:]),
        ks_list=[3, 5, 7],
        expand_ratio_list=[3, 4, 6],
        depth_list=[2, 3, 4],
        **({"base_stage_width": "proxyless"} if proxyless else {}),
    )


def settings(ours: Supernet, arch: Architecture) -> dict[str, list[Any]]:
    """Translate an architecture to the reference's arguments; those of cut blocks are arbitrary.

    Parameters
    ----------
    ours : Supernet
        The supernet of the architecture.
    arch : Architecture
        The architecture.

    Returns
    -------
    dict
        Keyword arguments of the reference's ``set_active_subnet``.
    """
    depths = [arch[n] for n in ours.space.names if n.startswith("d[")]
    if isinstance(ours, ElasticResNet):
        c = ours.config
        widths = [c.multipliers.index(float(arch[f"w[{p}]"])) for p in range(len(c.bases))]
        return {
            "d": depths,
            "e": [arch.get(f"e[{i}]", c.expansions[0]) for i, _, _ in c.positions()],
            "w": widths,
        }
    blocks = 21 if len(depths) == 6 else 20
    return {"d": depths, **{k: [arch.get(f"{k}[{i}]", 3) for i in range(blocks)] for k in ("ks", "e")}}


def extract(theirs: nn.Module, ours: Supernet, arch: Architecture) -> nn.Module:
    """Extract the reference's static subnet.

    Parameters
    ----------
    theirs : nn.Module
        The reference's supernet; its active subnet is changed.
    ours : Supernet
        Ours, of the same shape.
    arch : Architecture
        The architecture.

    Returns
    -------
    nn.Module
        The subnet in evaluation mode.
    """
    theirs.set_active_subnet(**settings(ours, arch))  # type: ignore[operator]
    with Uninitialised():
        return theirs.get_active_subnet(preserve_weight=True).eval()  # type: ignore[operator, no-any-return]


def macs(net: nn.Module, side: int) -> float:
    """Count multiply-accumulates by the reference's own counter, which adds up in single precision.

    Parameters
    ----------
    net : nn.Module
        The network.
    side : int
        Side of the image in pixels.

    Returns
    -------
    float
        MACs of one image.
    """
    load()
    from ofa.utils import count_net_flops

    return float(np.asarray(count_net_flops(net, (1, 3, side, side))))
