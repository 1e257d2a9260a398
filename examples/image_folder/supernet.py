"""The supernet: an elastic MobileNetV3 for your classes and sizes. Only numbers stand here; the network is hwsearch's."""

from hwsearch.supernets import SupernetEntry
from hwsearch.supernets.families.mobilenetv3.config import MobileNetV3Config, Stage
from hwsearch.supernets.families.mobilenetv3.supernet import ElasticMobileNetV3
from hwsearch.tasks.images import ImageTask, Preprocess

CONFIG = MobileNetV3Config(
    "my-photos",
    stages=(Stage(16, 2, "relu", False), Stage(32, 2, "h_swish", True), Stage(48, 1, "h_swish", True)),
    stem_width=16,
    final_width=192,
    mix_width=256,
    classes=4,  # class folders
    kernels=(3, 5),
    expansions=(2, 3, 4),
    depths=(1, 2),
    resolutions=(40, 48, 56),  # sides of the images, in pixels
)

ENTRY = SupernetEntry(
    "my-photos",
    "An elastic MobileNetV3 for a folder of photos",
    build=lambda: ElasticMobileNetV3(CONFIG),
    task=ImageTask(Preprocess(crop=0.9)),  # the middle 90 % of the shorter side
)
