"""The declaration: what of the network may vary, and how its images are prepared."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from network import MyNet

from hwsearch.supernets import Supernet, SupernetEntry
from hwsearch.supernets.declared import Depth, Width, elastic
from hwsearch.tasks.images import ImageTask, Preprocess

PREPROCESS = Preprocess(mean=(0.4914, 0.4822, 0.4465), std=(0.2470, 0.2435, 0.2616))


def build() -> Supernet:
    """Make the network elastic: the middle channels of each block, the blocks of each stage, the side of the image."""
    return elastic(
        MyNet(),
        {"stage*.*.conv1": Width((0.25, 0.5, 1.0)), "stage[12]": Depth((1, 2))},
        input_shape=(3, 32, 32),
        resolutions=(24, 32),
        name="my-net",
    )


ENTRY = SupernetEntry("my-net", "A small residual network", build=build, task=ImageTask(PREPROCESS))
