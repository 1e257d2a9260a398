"""The embedded supernet: an elastic MobileNetV3 for 32×32 images, trained on CIFAR-10.

It makes the whole line work on a fresh machine without a download. Weights, card and images lie in
``hwsearch/supernets/embedded``; ``hwsearch train --recipe cifar10-mbv3`` trains it again.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from hwsearch.supernets.entry import SupernetEntry
from hwsearch.supernets.families.mobilenetv3.config import MobileNetV3Config, Stage
from hwsearch.supernets.families.mobilenetv3.supernet import ElasticMobileNetV3
from hwsearch.tasks.images.data import ImageData
from hwsearch.tasks.images.preprocess import Preprocess
from hwsearch.tasks.images.readers import from_parquet
from hwsearch.tasks.images.task import ImageTask

FOLDER = Path(__file__).parents[1] / "embedded"

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

PREPROCESS = Preprocess(mean=(0.4914, 0.4822, 0.4465), std=(0.2470, 0.2435, 0.2616))

CONFIG = MobileNetV3Config(
    name="cifar10-mbv3",
    stages=(
        Stage(16, 1, "relu", False),
        Stage(40, 2, "relu", True),
        Stage(72, 2, "h_swish", False),
        Stage(96, 1, "h_swish", True),
    ),
    stem_width=16,
    stem_stride=2,
    final_width=384,
    mix_width=512,
    classes=10,
    kernels=(3, 5),
    expansions=(2, 3, 4),
    depths=(1, 2, 3),
    resolutions=(20, 24, 28, 32),
)


@cache
def images() -> dict[str, ImageData]:
    """Read the shipped CIFAR-10 images: 1,000 of the training set for calibration, 2,000 and 3,000 others of the test set for validation and test.

    Returns
    -------
    dict
        ``calibration``, ``validation`` and ``test`` → `ImageData`.
    """
    path = FOLDER / "cifar10-images.parquet"
    return {s: from_parquet(path, PREPROCESS, split=s, classes=CLASSES) for s in ("calibration", "validation", "test")}


def _card() -> dict[str, object]:
    path = FOLDER / "cifar10-mbv3.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


ENTRY = SupernetEntry(
    name=CONFIG.name,
    summary="Elastic MobileNetV3 for CIFAR-10, 20–32 px, shipped with weights and images",
    build=lambda: ElasticMobileNetV3(CONFIG),
    task=ImageTask(PREPROCESS),
    weights=FOLDER / "cifar10-mbv3.safetensors",
    data=images,
    card=dict(_card()),
)
