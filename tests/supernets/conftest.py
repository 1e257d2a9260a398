"""Small encoders whose weights follow from their names, as the reference models of the golden numbers had them.

The golden files hold, for random subnets of these two, the genes and the logits of Hugging Face's own models
(BertForSequenceClassification of transformers 4.37.2, ViTForImageClassification of 4.48.3), cut down by that
package's ``prune_heads`` and ``prune_linear_layer``; the logits of timm 1.0.31's ViT; and those of a network of
torchvision's structure and names on torch's own ``MultiheadAttention`` (torchvision itself was not run).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from hwsearch.supernets.base import Supernet
from hwsearch.supernets.families.bert.config import ElasticBertConfig
from hwsearch.supernets.families.bert.supernet import ElasticBert
from hwsearch.supernets.families.vit.config import ElasticViTConfig
from hwsearch.supernets.families.vit.supernet import ElasticViT

GOLDEN = Path(__file__).parent / "golden"


def _named_values(name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Uniform numbers that follow from a name: weights about 1.5/√(fan in), norms about 1, biases about 0."""
    x = np.random.default_rng([*name.encode()]).uniform(-1, 1, shape)
    if len(shape) in (2, 4):
        x *= 1.5 * np.sqrt(3 / np.prod(shape[1:]))
    elif len(shape) == 1:
        x = 0.3 * x + name.endswith("weight")
    return x.astype(np.float32)


def _golden(name: str) -> dict[str, NDArray]:
    with np.load(GOLDEN / f"{name}.npz") as file:
        return dict(file)


def _fill(net: Supernet) -> Supernet:
    net.load_state_dict({k: torch.from_numpy(_named_values(k, tuple(v.shape))) for k, v in net.state_dict().items()})
    return net.eval()


@pytest.fixture(scope="session")
def named_values():
    return _named_values


@pytest.fixture(scope="session")
def golden():
    return _golden


def make_small_bert() -> ElasticBert:
    """Width 32, up to 4 layers of up to 4 heads and 40 units; 50 words, 20 tokens, 3 classes."""
    config = ElasticBertConfig(
        name="small-bert",
        classes=3,
        hidden=32,
        head_size=8,
        layers=(2, 3, 4),
        heads=(2, 3, 4),
        ffn=(16, 24, 40),
        vocabulary=50,
        positions=20,
        tokens=20,
    )
    net = ElasticBert(config)
    _fill(net)
    return net


def make_small_vit() -> ElasticViT:
    """Width 24, up to 4 layers of up to 3 heads and 48 units; patches of 4 pixels, 12 to 20 pixels, 5 classes."""
    config = ElasticViTConfig(
        name="small-vit",
        classes=5,
        norm_eps=1e-12,
        hidden=24,
        head_size=8,
        layers=(2, 3, 4),
        heads=(1, 2, 3),
        ffn=(16, 32, 48),
        patch=4,
        resolutions=(12, 16, 20),
    )
    net = ElasticViT(config)
    _fill(net)
    return net


@pytest.fixture
def small_bert() -> ElasticBert:
    return make_small_bert()


@pytest.fixture
def small_vit() -> ElasticViT:
    return make_small_vit()
