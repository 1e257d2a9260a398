"""Every family is lowered by rules, and its models are torch's for any batch and length."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor

from hwsearch.exporters import run_onnx, torch_export
from hwsearch.exporters.onnx.lower import by_rules
from hwsearch.spaces import Architecture
from hwsearch.supernets import Supernet
from hwsearch.supernets.base import Part
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
from hwsearch.supernets.families.plain.mobilenet_v2 import MobileNetV2
from hwsearch.supernets.families.plain.resnet import resnet18
from hwsearch.supernets.families.plain.supernet import PlainSupernet, mobilenet_v2_declaration
from hwsearch.supernets.families.resnet.config import ResNetConfig
from hwsearch.supernets.families.resnet.supernet import ElasticResNet
from hwsearch.supernets.families.vit.config import ElasticViTConfig
from hwsearch.supernets.families.vit.supernet import ElasticViT
from hwsearch.tasks.inputs import Input
from hwsearch.tasks.translation.vocabulary import PAD
from hwsearch.testing.weights import seeded_weights


def mobilenetv3() -> Supernet:
    stages = (Stage(8, 1, "relu", False), Stage(16, 2, "h_swish", True))
    sizes = {"stem_width": 8, "final_width": 32, "mix_width": 48, "classes": 4, "resolutions": (16, 20, 32)}
    return ElasticMobileNetV3(MobileNetV3Config("mbv3", stages, **sizes))


def proxylessnas() -> Supernet:
    stages = (Stage(8, 2, "relu6", False), Stage(16, 2, "relu6", False, depths=(1,)))
    sizes = {"stem_width": 8, "first_width": 8, "final_width": None, "mix_width": 48, "classes": 4}
    acts = dict.fromkeys(("stem_act", "first_act", "head_act"), "relu6")
    return ElasticMobileNetV3(MobileNetV3Config("proxyless", stages, resolutions=(16, 20, 32), **sizes, **acts))


def resnet50d() -> Supernet:
    return ElasticResNet(ResNetConfig("rn", 16, (64, 96), (1, 2), (1, 2), classes=5, resolutions=(24, 30, 33)))


def attentivenas() -> Supernet:
    stages = (
        WideStage((8, 16), (1, 2), (1,), 1, False),
        WideStage((16, 24), (1, 2, 3), (2, 3), 2, True),
        WideStage((24, 32), (1, 2), (3,), 2, True),
    )
    return AttentiveNAS(AttentiveNASConfig("an", (8, 16), stages, (32, 48), classes=5, resolutions=(28, 30, 32)))


def hat() -> Supernet:
    sizes = {"vocabulary": 40, "embeds": (24, 32), "qkv": 16, "ffns": (16, 32), "heads": (2, 4), "positions": 32}
    return HatTransformer(HatConfig("hat", source_tokens=7, target_tokens=5, **sizes))


def bert() -> Supernet:
    sizes = {"hidden": 32, "head_size": 8, "layers": (1, 2, 3), "heads": (2, 3, 4), "ffn": (16, 24, 40)}
    return ElasticBert(ElasticBertConfig(name="bert", classes=3, vocabulary=50, positions=16, tokens=12, **sizes))


def vit() -> Supernet:
    sizes = {"hidden": 24, "head_size": 8, "layers": (1, 2, 3), "heads": (1, 2, 3), "ffn": (16, 48), "patch": 4}
    return ElasticViT(ElasticViTConfig(name="vit", classes=5, norm_eps=1e-6, resolutions=(12, 16), **sizes))


def mobilenet_v2() -> Supernet:
    return PlainSupernet(MobileNetV2(4, width=0.25), mobilenet_v2_declaration(), name="v2", resolutions=(32, 48))


def declared() -> Supernet:
    declaration = {
        "layer*.*.conv1": Width((0.5, 0.75, 1.0)),
        "layer[34]": Depth((1, 2)),
        "conv1": KernelSize((3, 5, 7)),
    }
    return elastic(resnet18(4, width=16), declaration, name="declared", resolutions=(32, 48))


FAMILIES = {
    f.__name__: f for f in (mobilenetv3, proxylessnas, resnet50d, attentivenas, hat, bert, vit, mobilenet_v2, declared)
}
#: sizes of variable axes, in tensors that follow each other
LENGTHS = ({}, {"tokens": 5, "source": 4, "past": 0}, {"tokens": 16, "source": 11, "past": 6})


@cache
def supernet(name: str) -> Supernet:
    net = FAMILIES[name]()
    net.load_state_dict(seeded_weights(net.state_dict()))
    return net.eval()


def parts(net: Supernet, archs: list[Architecture]) -> Iterator[Part]:
    for arch in archs:
        yield from net.parts(arch, net.subnet(arch))


def model_of(part: Part, by: Callable[..., onnx.ModelProto] = by_rules) -> onnx.ModelProto:
    return by(part.net, part.inputs, outputs=part.outputs, output_axes=part.output_axes)


def resized(i: Input, sizes: dict[str, int]) -> Input:
    """With the sizes of variable axes; ``source_x2`` is twice as long as ``source``."""
    shape = list(i.shape)
    for axis, name in enumerate(i.axes):
        base, _, times = (name or "").partition("_x")
        if base in sizes:
            shape[axis] = sizes[base] * int(times or 1)
    return replace(i, shape=tuple(shape))


def examples(part: Part, batch: int, sizes: dict[str, int]) -> list[Tensor]:
    """Random inputs with padding: the last two tokens of a BERT's first sequence, the first two of a HAT's source."""
    rng = np.random.default_rng(batch)
    found = [np.asarray(resized(i, sizes).sample(batch, rng)) for i in part.inputs]
    for i, x in zip(part.inputs, found, strict=True):
        if i.name == "attention_mask":
            x[0, -2:] = 0
        elif i.name == "source":
            x[0, :2] = PAD
    return [torch.from_numpy(x) for x in found]


def outputs(part: Part, inputs: list[Tensor]) -> list[np.ndarray[Any, Any]]:
    with torch.no_grad():
        given = part.net(*inputs)
    return [given.numpy()] if isinstance(given, Tensor) else [x.numpy() for x in given]


def assert_equal(found: list[Any], expected: list[Any], tolerance: float = 1e-5) -> None:
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        assert a.shape == b.shape
        assert np.abs(a - b).max() <= tolerance * np.abs(b).max()


@pytest.mark.parametrize("sampled", [6, pytest.param(20, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", FAMILIES)
def test_equals_torch_for_sampled_architectures(name: str, sampled: int) -> None:
    net = supernet(name)
    ends = [net.space.smallest(), net.space.largest()]
    archs = ends + net.space.sample(sampled, np.random.default_rng(0), exclude=ends)
    assert len(set(archs)) == sampled + 2
    for k, part in enumerate(parts(net, archs)):
        model = model_of(part)
        onnx.checker.check_model(model, full_check=True)
        data = model.SerializeToString()
        for batch in (1, 3):
            x = examples(part, batch, LENGTHS[(k + batch) % 3])
            assert_equal(run_onnx(data, *(v.numpy() for v in x)), outputs(part, x))


@pytest.mark.parametrize("name", FAMILIES)
def test_equals_torchs_own_exporter(name: str) -> None:
    net = supernet(name)
    for part in parts(net, net.space.sample(1, np.random.default_rng(7))):
        ours, theirs = (model_of(part, by).SerializeToString() for by in (by_rules, torch_export))
        x = [v.numpy() for v in examples(part, 2, {})]
        assert_equal(run_onnx(ours, *x), run_onnx(theirs, *x))


@pytest.mark.parametrize("name", FAMILIES)
def test_axes_that_may_vary_have_their_names_and_others_their_sizes(name: str) -> None:
    net = supernet(name)
    for part in parts(net, [net.space.largest()]):
        graph = model_of(part).graph
        axes = part.output_axes or [{0: "batch"}] * len(part.outputs)
        expected = dict(zip(part.outputs, axes, strict=True)) | {i.name: i.dynamic_axes() for i in part.inputs}
        for value in (*graph.input, *graph.output):
            dims = value.type.tensor_type.shape.dim
            assert {k: d.dim_param for k, d in enumerate(dims) if d.dim_param} == expected[value.name]
            assert all(d.dim_param or d.dim_value > 0 for d in dims)
        assert [i.name for i in part.inputs] == [v.name for v in graph.input]
        assert list(part.outputs) == [v.name for v in graph.output]


@pytest.mark.parametrize("name", ["hat", "bert", "vit"])
def test_a_fixed_batch_is_written_as_a_number(name: str) -> None:
    net = supernet(name)
    for part in parts(net, [net.space.smallest()]):
        model = by_rules(part.net, part.inputs, outputs=part.outputs, output_axes=part.output_axes, batch=2)
        for value in (*model.graph.input, *model.graph.output):
            assert value.type.tensor_type.shape.dim[0].dim_value == 2
        x = examples(part, 2, LENGTHS[1])
        assert_equal(run_onnx(model.SerializeToString(), *(v.numpy() for v in x)), outputs(part, x))


def test_a_weight_of_two_uses_is_written_once() -> None:
    """HAT's decoder embeds tokens and predicts them with one table."""
    net = supernet("hat")
    (part,) = [p for p in parts(net, [net.space.largest()]) if p.name == "decoder-step"]
    vocabulary = net.classes
    tables = [w.name for w in model_of(part).graph.initializer if vocabulary in w.dims]
    assert tables == ["net.decoder.embed"]
