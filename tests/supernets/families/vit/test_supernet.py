"""Elastic ViT against the models of Hugging Face and timm and torchvision's structure, and at published sizes.

Where the golden logits come from: see conftest.py. Published: torchvision's documentation of vit_b_16, vit_b_32,
vit_l_16 (parameters, and billions of multiply-accumulates).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from hwsearch.errors import CheckpointError, SupernetError
from hwsearch.supernets.checkpoint.loading import load_weights
from hwsearch.supernets.families.vit.config import ElasticViTConfig
from hwsearch.supernets.families.vit.entries import B16, B16_HALF
from hwsearch.supernets.families.vit.subnet import at_grid
from hwsearch.supernets.families.vit.supernet import ElasticViT

SMALL_TIMM = ElasticViTConfig(
    name="x", classes=5, hidden=24, head_size=8, layers=(4,), heads=(3,), ffn=(48,), patch=4, resolutions=(20,)
)


def without_mark(net: ElasticViT) -> dict[str, torch.Tensor]:
    """The tensors that Hugging Face's file has."""
    return {k: v for k, v in net.state_dict().items() if k != "norm_eps"}


def meta(config: ElasticViTConfig) -> ElasticViT:
    with torch.device("meta"):  # shapes only
        return ElasticViT(config)


# ---------------------------------------------------------------------- references
@torch.no_grad()
@pytest.mark.parametrize("every", [4, pytest.param(1, marks=pytest.mark.slow)])  # of the golden subnets
def test_subnets_equal_hugging_faces_model(small_vit: ElasticViT, golden, named_values, every: int) -> None:
    found = golden("vit")
    assert len(found["layers"]) >= 200
    images = {r: torch.from_numpy(named_values("image", (2, 3, r, r)) * 4) for r in (12, 16, 20)}
    columns = (found[k][::every] for k in ("layers", "heads", "ffn", "logits"))
    for layers, heads, ffn, expected in zip(*columns, strict=True):
        genes = {"layers": int(layers)}
        for i in range(layers):
            genes |= {f"heads[{i}]": int(heads[i]), f"ffn[{i}]": int(ffn[i])}
        for (side, x), logits in zip(images.items(), expected, strict=True):
            subnet = small_vit.subnet(small_vit.space.architecture({"r": side} | genes))
            assert np.abs(subnet(x).numpy() - logits).max() <= 1e-5 * np.abs(logits).max()


@torch.no_grad()
@pytest.mark.parametrize("package", ["timm", "torchvision"])
def test_files_of_other_packages_load(package: str, golden, named_values, tmp_path) -> None:
    found = golden("vit")
    shapes = [tuple(map(int, s.split("x"))) for s in found[f"{package}_shapes"]]
    state = {n: torch.from_numpy(named_values(n, s)) for n, s in zip(found[f"{package}_names"].tolist(), shapes)}
    net = ElasticViT(SMALL_TIMM).eval()
    load_weights(net, state, package)
    logits = net(torch.from_numpy(named_values("image", (2, 3, 20, 20)) * 4)).numpy()
    assert np.abs(logits - found[package]).max() <= 1e-5 * np.abs(found[package]).max()
    older = {k.replace("mlp.0.", "mlp.linear_1.").replace("mlp.3.", "mlp.linear_2."): v for k, v in state.items()}
    assert net.rename(older).keys() == net.state_dict().keys()


@torch.no_grad()
def test_positions_are_interpolated_where_they_stand() -> None:
    """A linear ramp stays one inside the grid; the class token and the own grid stay as they are."""
    rows, columns = torch.meshgrid(torch.arange(14.0), torch.arange(14.0), indexing="ij")
    grid = torch.stack([rows, columns], -1).reshape(1, 196, 2)
    positions = torch.cat([torch.full((1, 1, 2), 99.0), grid], dim=1)
    assert at_grid(positions, 14) is positions
    small = at_grid(positions, 7)
    assert small.shape == (1, 50, 2) and (small[0, 0] == 99).all()
    image = small[0, 1:].reshape(7, 7, 2)
    ramp = torch.arange(7) * 2 + 0.5
    assert torch.allclose(image[1:-1, 1:-1, 0], ramp[1:-1, None].expand(5, 5), atol=1e-5)
    assert torch.allclose(image[1:-1, 1:-1, 1], ramp[None, 1:-1].expand(5, 5), atol=1e-5)


# ---------------------------------------------------------------------- published sizes
@pytest.mark.parametrize(
    ("layers", "hidden", "head_size", "ffn", "patch", "side", "params", "billions"),
    [
        (12, 768, 64, 3072, 16, 224, 86_567_656, 17.56),
        (12, 768, 64, 3072, 16, 384, 86_859_496, 55.48),
        (12, 768, 64, 3072, 32, 224, 88_224_232, 4.41),
        (24, 1024, 64, 4096, 16, 224, 304_326_632, 61.55),
    ],
)
def test_sizes_are_the_published_ones(
    layers: int, hidden: int, head_size: int, ffn: int, patch: int, side: int, params: int, billions: float
) -> None:
    config = ElasticViTConfig(
        name="x",
        hidden=hidden,
        head_size=head_size,
        layers=(layers,),
        heads=(hidden // head_size,),
        ffn=(ffn,),
        patch=patch,
        resolutions=(side,),
    )
    net = meta(config)
    arch = net.space.largest()
    assert net.params(arch) == params == sum(p.numel() for p in net.parameters())
    assert round(net.macs(arch) / 1e9, 2) == billions
    found = ElasticViTConfig.of(without_mark(net), "x")
    same = (found.hidden, found.head_size, max(found.ffn), max(found.layers), found.patch, max(found.resolutions))
    assert same == (hidden, head_size, ffn, layers, patch, side)


def test_the_space_is_that_of_dynas_t_at_three_resolutions() -> None:
    config = ElasticViTConfig(name="vit-b16")
    net = meta(config)
    assert net.space.cardinality == 3 * sum(12**n for n in (10, 11, 12))
    assert net.input_shape(net.space.largest()) == (3, 224, 224)
    assert net.input_size(net.space.smallest()) == 160
    assert net.params(net.space.architecture({**net.space.largest().to_dict(), "r": 160})) == 86_567_656 - 96 * 768
    found = ElasticViTConfig.of(without_mark(net), "vit-b16")
    assert found.norm_eps == 1e-12  # Hugging Face's names, so its constant
    assert found == ElasticViTConfig(name="vit-b16", norm_eps=1e-12)


def test_resolutions_must_be_whole_patches() -> None:
    with pytest.raises(SupernetError, match="not multiples of 16"):
        ElasticViTConfig(name="x", resolutions=(160, 200))


# ---------------------------------------------------------------------- files
def test_the_entries_build_what_a_file_calls_for(tmp_path, golden, named_values) -> None:
    """A file of timm: six layers of width 192 with three heads, seven classes, 112 pixels."""
    config = ElasticViTConfig(
        name="vit-l6-h192-f256-p16-r112",
        classes=7,
        hidden=192,
        layers=(5, 6),
        heads=(2, 3),
        ffn=(64, 192, 256),
        resolutions=(80, 96, 112),
    )
    net = ElasticViT(config)
    spelt = {"vit.embeddings.cls_token": "cls_token", "vit.embeddings.position_embeddings": "pos_embed"}
    state = {}
    for name, value in net.state_dict().items():
        for old, new in (
            ("vit.embeddings.patch_embeddings.projection", "patch_embed.proj"),
            ("vit.encoder.layer", "blocks"),
            ("attention.output.dense", "attn.proj"),
            ("layernorm_before", "norm1"),
            ("layernorm_after", "norm2"),
            ("intermediate.dense", "mlp.fc1"),
            ("output.dense", "mlp.fc2"),
            ("vit.layernorm", "norm"),
            ("classifier", "head"),
        ):
            name = name.replace(old, new)
        if ".attention.attention.query." in name:
            own = name.replace("blocks", "vit.encoder.layer")
            qkv = [net.state_dict()[own.replace("query", p)] for p in ("query", "key", "value")]
            state[name.replace("attention.attention.query", "attn.qkv")] = torch.cat(qkv)
        elif ".attention.attention." not in name:
            state[spelt.get(name, name)] = value
    assert len(state) == len(net.state_dict()) - 6 * 4
    save_file(state, tmp_path / "timm.safetensors")
    for entry in (B16, B16_HALF):
        loaded = entry.load(tmp_path / "timm.safetensors")
        assert isinstance(loaded.net, ElasticViT) and loaded.net.config == config
        assert all(torch.equal(net.state_dict()[k], v) for k, v in loaded.net.state_dict().items())
    assert B16_HALF.find_task().preprocess.to_dict()["mean"] == [0.5] * 3 and not B16.calibrated


def test_files_of_other_models_are_refused(small_vit: ElasticViT) -> None:
    state = small_vit.state_dict()
    assert state.keys() == small_vit.rename({**state, "vit.pooler.dense.bias": torch.zeros(24)}).keys()
    with pytest.raises(CheckpointError, match=r"the weights lack 'classifier\.weight'"):
        ElasticViTConfig.of({k: v for k, v in state.items() if not k.startswith("classifier")}, "x")
    with pytest.raises(CheckpointError, match="width 24"):
        ElasticViTConfig.of(state, "x")
    distilled = state | {"vit.embeddings.position_embeddings": torch.zeros(1, 27, 24)}
    with pytest.raises(CheckpointError, match="27 position embeddings are not those of a square grid"):
        ElasticViTConfig.of(distilled, "x")


def test_the_eps_of_the_norms_is_part_of_a_saved_file(tmp_path: Path, golden, named_values) -> None:
    """A timm file converted to our names stays the network it was, although names would say otherwise."""
    found = golden("vit")
    shapes = [tuple(map(int, s.split("x"))) for s in found["timm_shapes"]]
    state = {n: torch.from_numpy(named_values(n, s)) for n, s in zip(found["timm_names"].tolist(), shapes, strict=True)}
    config = replace(SMALL_TIMM, norm_eps=1e-6)
    net = ElasticViT(config)
    load_weights(net, state, "timm")
    converted = net.rename(state)
    assert float(converted["norm_eps"]) == 1e-6 and set(converted) == set(net.state_dict())
    with pytest.raises(CheckpointError, match="no number of heads"):  # of reads the width next, and finds the small one
        ElasticViTConfig.of(converted, "x")
    full = {**meta(ElasticViTConfig(name="vit-b16")).state_dict(), "norm_eps": converted["norm_eps"]}
    assert ElasticViTConfig.of(full, "vit-b16").norm_eps == 1e-6
