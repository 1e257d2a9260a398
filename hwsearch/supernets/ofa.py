"""Once-for-All MobileNetV3 (Cai, Gan, Wang, Zhang, Han, 2020, arXiv 1908.09791): the public ImageNet supernets.

The weights are not shipped; a file of the authors loads by `SupernetEntry.load`.
"""

from __future__ import annotations

from hwsearch.images import Preprocess
from hwsearch.supernets.catalogue import SupernetEntry
from hwsearch.supernets.elastic import make_divisible
from hwsearch.supernets.mobilenetv3 import ElasticMobileNetV3, MobileNetV3Config, Stage


def ofa_mobilenetv3(width: float) -> MobileNetV3Config:
    """The published shape at a width multiplier (1.0 or 1.2)."""
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


def _entry(width: float, file: str, git_blob: str) -> SupernetEntry:
    config = ofa_mobilenetv3(width)
    return SupernetEntry(
        name=config.name,
        summary=f"Once-for-All MobileNetV3, width {width}, ImageNet, 128–224 px",
        build=lambda: ElasticMobileNetV3(config),
        preprocess=Preprocess(crop=0.875),
        card={
            "paper": "Cai et al., 2020, arXiv 1908.09791",
            "code_licence": "MIT",
            "weights_licence": "none stated",
            "get": f"the file {file!r} of the repository han-cai/files, folder ofa/ofa_nets",
            "git_blob_sha1": git_blob,
        },
    )


W10 = _entry(1.0, "ofa_mbv3_d234_e346_k357_w1.0", "55d835981d8acd1053657a951b18887a724ddcbf")
W12 = _entry(1.2, "ofa_mbv3_d234_e346_k357_w1.2", "d75a3613bae216091f61fc4b7df77d49cc82ed32")
