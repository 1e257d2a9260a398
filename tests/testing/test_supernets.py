"""Every family keeps what a supernet promises: the conformance suite that ships to users, on small networks."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from hwsearch.spaces import Architecture
from hwsearch.supernets import Supernet
from hwsearch.supernets.declared.declaration import Depth, KernelSize, Width
from hwsearch.supernets.declared.elastic import elastic
from hwsearch.supernets.families.attentivenas.config import AttentiveNASConfig, WideStage
from hwsearch.supernets.families.attentivenas.supernet import AttentiveNAS
from hwsearch.supernets.families.bert.config import ElasticBertConfig
from hwsearch.supernets.families.bert.supernet import ElasticBert
from hwsearch.supernets.families.hat.config import HatConfig
from hwsearch.supernets.families.hat.supernet import HatTransformer
from hwsearch.supernets.families.mobilenetv3.config import MobileNetV3Config, Stage
from hwsearch.supernets.families.mobilenetv3.supernet import ElasticMobileNetV3
from hwsearch.supernets.families.plain.resnet import BasicBlock, ResNet
from hwsearch.supernets.families.resnet.config import ResNetConfig
from hwsearch.supernets.families.resnet.supernet import ElasticResNet
from hwsearch.supernets.families.vit.config import ElasticViTConfig
from hwsearch.supernets.families.vit.supernet import ElasticViT
from hwsearch.testing import SupernetConformance


class TestMobileNetV3(SupernetConformance):
    def make(self) -> Supernet:
        stages = (Stage(8, 1, "relu", False), Stage(16, 2, "h_swish", True))
        return ElasticMobileNetV3(
            MobileNetV3Config(
                "mbv3", stages, stem_width=8, final_width=32, mix_width=48, classes=4, resolutions=(16, 20, 32)
            )
        )


class TestProxylessNAS(SupernetConformance):
    def make(self) -> Supernet:
        stages = (Stage(8, 2, "relu6", False), Stage(16, 2, "relu6", False, depths=(1,)))
        config = MobileNetV3Config(
            "proxyless", stages, stem_width=8, first_width=8, final_width=None, mix_width=48, classes=4,
            stem_act="relu6", first_act="relu6", head_act="relu6", resolutions=(16, 20, 32),
        )  # fmt: skip
        return ElasticMobileNetV3(config)


class TestResNet(SupernetConformance):
    def make(self) -> Supernet:
        return ElasticResNet(ResNetConfig("rn", 16, (64, 96), (1, 2), (1, 2), classes=5, resolutions=(24, 30, 32)))


class TestAttentiveNAS(SupernetConformance):
    def make(self) -> Supernet:
        stages = (
            WideStage((8, 16), (1, 2), (1,), 1, False),
            WideStage((16, 24), (1, 2, 3), (2, 3), 2, True),
            WideStage((24, 32), (1, 2), (3,), 2, True),
        )
        return AttentiveNAS(AttentiveNASConfig("an", (8, 16), stages, (32, 48), classes=5, resolutions=(28, 30, 32)))


class TestHat(SupernetConformance):
    def make(self) -> Supernet:
        return HatTransformer(
            HatConfig("hat", vocabulary=40, embeds=(24, 32), qkv=16, ffns=(16, 32), heads=(2, 4), positions=32,
                      source_tokens=7, target_tokens=5, encoder_layers=3, decoder_layers=(1, 2, 3))
        )  # fmt: skip

    def inputs(self, net: Supernet, arch: Architecture) -> tuple[Tensor, ...]:
        generator = torch.Generator().manual_seed(1)
        return tuple(torch.randint(4, 40, (2, n), generator=generator) for n in (7, 5))


class TestBert(SupernetConformance):
    def make(self) -> Supernet:
        return ElasticBert(
            ElasticBertConfig(name="bert", classes=3, hidden=32, head_size=8, layers=(1, 2, 3), heads=(2, 4),
                              ffn=(16, 40), vocabulary=50, positions=16, tokens=12)
        )  # fmt: skip


class TestViT(SupernetConformance):
    def make(self) -> Supernet:
        return ElasticViT(
            ElasticViTConfig(name="vit", classes=5, norm_eps=1e-6, hidden=24, head_size=8, layers=(1, 2, 3),
                             heads=(1, 3), ffn=(16, 48), patch=4, resolutions=(12, 16))
        )  # fmt: skip


class TestDeclared(SupernetConformance):
    def make(self) -> Supernet:
        declared = {"layer*.*.conv1": Width((0.5, 1.0)), "layer[34]": Depth((1, 2)), "conv1": KernelSize((3, 7))}
        return elastic(
            ResNet(BasicBlock, (2, 2, 2, 2), classes=4, width=16), declared, name="declared", resolutions=(32, 48)
        )


def test_the_suite_finds_a_broken_supernet() -> None:
    """A subnet that shares storage with the supernet, and costs that are off by one, do not pass."""

    class Sharing(ElasticBert):
        def subnet(self, arch: Architecture) -> torch.nn.Module:  # type: ignore[override]
            net = super().subnet(arch)
            net.classifier.weight = self.classifier.weight
            return net

        def macs_array(self, rows):  # type: ignore[no-untyped-def]
            return super().macs_array(rows) + 1

    config = TestBert().make().config
    suite, net = TestBert(), Sharing(config).eval()
    for check in (suite.test_a_subnet_has_weights_of_its_own, suite.test_costs_are_those_that_torch_counts):
        with pytest.raises(AssertionError):
            check(net)
