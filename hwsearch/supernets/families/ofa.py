"""Once-for-All (Cai, Gan, Wang, Zhang, Han, 2020, arXiv 1908.09791): the public ImageNet supernets.

MobileNetV3 at two widths; ProxylessNAS (Cai, Zhu, Han, 2019, arXiv 1812.00332), which has no squeeze-excitation,
ReLU6 everywhere, a last stage of one block whose depth is no choice, and its feature mix before the pool; ResNet-50-D.
The weights are not shipped; a file of the authors loads by `SupernetEntry.load`.
"""

from __future__ import annotations

from dataclasses import replace

from hwsearch.supernets.checkpoint.reading import rows_of
from hwsearch.supernets.entry import SupernetEntry
from hwsearch.supernets.families.mobilenetv3.config import MobileNetV3Config, Stage
from hwsearch.supernets.families.mobilenetv3.supernet import ElasticMobileNetV3
from hwsearch.supernets.families.resnet.config import ResNetConfig
from hwsearch.supernets.families.resnet.supernet import ElasticResNet
from hwsearch.supernets.layers.naming import make_divisible
from hwsearch.tasks.images.preprocess import Preprocess
from hwsearch.tasks.images.task import ImageTask

#: what the classifier's bias is called in the authors' files
CLASSIFIER = ("classifier.linear.bias", "classifier.linear.linear.bias")


def ofa_mobilenetv3(width: float) -> MobileNetV3Config:
    """Build the published MobileNetV3 configuration of Once-for-All.

    Parameters
    ----------
    width : float
        Width multiplier, 1.0 or 1.2.

    Returns
    -------
    MobileNetV3Config
        The configuration.

    Examples
    --------
    >>> ofa_mobilenetv3(1.2).mix_width
    1536
    """
    w = lambda c: make_divisible(c * width)  # noqa: E731
    stages = (
        Stage(w(24), 2, "relu", False),
        Stage(w(40), 2, "relu", True),
        Stage(w(80), 2, "h_swish", False),
        Stage(w(112), 1, "h_swish", True),
        Stage(w(160), 2, "h_swish", True),
    )
    return MobileNetV3Config(
        f"ofa-mobilenetv3-w{width:.1f}", stages, stem_width=w(16), final_width=w(960), mix_width=w(1280)
    )


def ofa_proxylessnas(width: float) -> MobileNetV3Config:
    """Build the published ProxylessNAS configuration of Once-for-All.

    Parameters
    ----------
    width : float
        Width multiplier, 1.3.

    Returns
    -------
    MobileNetV3Config
        The configuration.
    """
    w = lambda c: make_divisible(c * width)  # noqa: E731
    stages = (
        *(Stage(w(c), stride, "relu6", False) for c, stride in ((24, 2), (40, 2), (80, 2), (96, 1), (192, 2))),
        Stage(w(320), 1, "relu6", False, depths=(1,)),
    )
    return MobileNetV3Config(
        f"ofa-proxylessnas-w{width:.1f}",
        stages,
        stem_width=w(32),
        stem_act="relu6",
        first_width=w(16),
        first_act="relu6",
        final_width=None,
        mix_width=w(1280),
        head_act="relu6",
        bn_eps=1e-3,
    )


def _entry(
    config: MobileNetV3Config, title: str, file: str, git_blob: str, published: dict[str, object] | None = None
) -> SupernetEntry:
    return SupernetEntry(
        name=config.name,
        summary=f"Once-for-All {title}, ImageNet, 128–224 px",
        build=lambda: ElasticMobileNetV3(config),
        build_for=lambda state: ElasticMobileNetV3(replace(config, classes=rows_of(state, CLASSIFIER, config.classes))),
        task=ImageTask(Preprocess(crop=0.875)),
        card={
            "paper": "Cai et al., 2020, arXiv 1908.09791",
            "code_licence": "MIT",
            "weights_licence": "none stated",
            "get": f"the file {file!r} of the repository han-cai/files, folder ofa/ofa_nets",
            "git_blob_sha1": git_blob,
            **({"published_top1_percent": published} if published else {}),
        },
    )


W10 = _entry(
    ofa_mobilenetv3(1.0),
    "MobileNetV3, width 1.0",
    "ofa_mbv3_d234_e346_k357_w1.0",
    "55d835981d8acd1053657a951b18887a724ddcbf",
    {
        "note": "inherited weights, batch norms recalibrated, 224 px: lowest and highest of 2,162 subnets (DyNAS-T's logs)",
        "lowest": 70.998,
        "highest": 77.466,
    },
)
W12 = _entry(
    ofa_mobilenetv3(1.2),
    "MobileNetV3, width 1.2",
    "ofa_mbv3_d234_e346_k357_w1.2",
    "d75a3613bae216091f61fc4b7df77d49cc82ed32",
)
PROXYLESS = _entry(
    ofa_proxylessnas(1.3),
    "ProxylessNAS, width 1.3",
    "ofa_proxyless_d234_e346_k357_w1.3",
    "c97035a7a6fe611508f3bb35ffac0ef77262f5e0",
)

RESNET50D = SupernetEntry(
    name="ofa-resnet50d",
    summary="Once-for-All ResNet-50-D, ImageNet, 128–224 px",
    build=lambda: ElasticResNet(ResNetConfig()),
    build_for=lambda state: ElasticResNet(ResNetConfig(classes=rows_of(state, CLASSIFIER, 1000))),
    task=ImageTask(Preprocess(crop=0.875)),
    card={
        "paper": "Cai et al., 2020, arXiv 1908.09791",
        "code_licence": "MIT",
        "weights_licence": "none stated",
        "get": "the file 'ofa_supernet_resnet50' of han-cai/ofa on Hugging Face "
        "(earlier 'ofa_resnet50_d=0+1+2_e=0.2+0.25+0.35_w=0.65+0.8+1.0')",
        "published_top1_percent": {
            "note": "specialised and fine-tuned, by billions of MACs",
            "4.1": 79.8,
            "3.0": 79.3,
            "1.8": 78.3,
            "0.6": 75.0,
        },
    },
)
