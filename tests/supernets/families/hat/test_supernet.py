"""The elastic Transformer of HAT: the authors' own outputs, published sizes, an independent count, and its deployment.

``golden/hat.npz`` holds what the authors' code gave (github.com/mit-han-lab/hardware-aware-transformers, MIT:
``TransformerSuperModel`` on CPU, and its ``SequenceGenerator``) for `CONFIG`, with the weights of `recipe` and the
sentences of `sentences`:

genes : (subnets, 39) int8: encoder and decoder width, decoder layers, then six values of each indexed gene
short, long : (subnets, 24) float32 logits at the places of `places`, for sentences of 8 and of 23 source tokens
beam_tokens, beam_lengths, beam_scores : (40, 4, 3, …) the best hypotheses of the first subnets for the four settings of
    `SEARCHES` and the three sentences of 8 source tokens
"""

from __future__ import annotations

import argparse
import io
import itertools
import os
import sys
import warnings
import zlib
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from hwsearch.errors import CheckpointError, MeasurementError, SpaceError, SupernetError
from hwsearch.spaces import Architecture, SearchSpace
from hwsearch.supernets.base import Part
from hwsearch.supernets.checkpoint.loading import load_weights
from hwsearch.supernets.checkpoint.reading import read_state
from hwsearch.supernets.families.hat.config import HatConfig
from hwsearch.supernets.families.hat.entries import ENTRY, build_for
from hwsearch.supernets.families.hat.subnet import HatSubnet
from hwsearch.supernets.families.hat.supernet import HatTransformer
from hwsearch.supernets.families.hat.weights import EMBEDDINGS
from hwsearch.tasks.translation.beam import Hypothesis, translate
from hwsearch.tasks.translation.vocabulary import EOS, PAD

CONFIG = HatConfig(
    "small-hat",
    vocabulary=48,
    embeds=(32, 40),
    qkv=32,
    ffns=(32, 64, 96),
    heads=(2, 4),
    positions=64,
    source_tokens=9,
    target_tokens=7,
)
GOLDEN = Path(__file__).parents[2] / "golden" / "hat.npz"
INDEXED = ("encoder.ffn", "encoder.heads", "decoder.ffn", "decoder.heads", "decoder.cross_heads", "decoder.memory")
#: (beam, length penalty, most tokens) of the hypotheses in the golden file
SEARCHES = ((1, 0.6, 12), (4, 0.6, 12), (5, 1.0, 20), (5, 0.0, 6))


def recipe(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Weights that follow from their name alone; nothing has its initial value, and residuals do not prevail."""
    name = name.replace("decoder.embed_tokens", "encoder.embed_tokens")
    x = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(shape)
    if "layer_norm.weight" in name:
        x = 1 + 0.3 * x
    elif len(shape) == 1:
        x = 0.1 * x
    else:
        x = x * (1 if "embed" in name else 1.5) * shape[1] ** -0.5
    if "embed" in name:
        x[EOS] *= 3  # so that some translations end early
    return x.astype(np.float32)


def sentences(source: int, target: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Three pairs of up to that many tokens: sources padded on the left, targets, moved on by one, on the right."""
    random = np.random.RandomState(source)
    s, t = random.randint(4, 48, (3, source)), random.randint(4, 48, (3, target))
    s[:, -1], t[:, 0] = 2, 2
    s[1, : source // 3] = s[2, : source // 2] = 1
    t[1, -(target // 4) :] = t[2, -(target // 2) :] = 1
    return torch.from_numpy(s), torch.from_numpy(t)


def places(size: int) -> np.ndarray:
    return np.random.RandomState(size).choice(size, 24, replace=False)


def with_recipe(net: HatTransformer) -> HatTransformer:
    state = net.state_dict()
    net.load_state_dict({k: torch.from_numpy(recipe(k, tuple(v.shape))) for k, v in state.items()})
    return net.eval()


@pytest.fixture(scope="module")
def net() -> HatTransformer:
    return with_recipe(HatTransformer(CONFIG))


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    with np.load(GOLDEN) as file:
        return dict(file)


@pytest.fixture(scope="module")
def published() -> HatTransformer:
    with torch.device("meta"):  # shapes only
        return HatTransformer(HatConfig())


def golden_arch(space: SearchSpace, row: np.ndarray) -> Architecture:
    genes = dict(zip(("encoder.embed", "decoder.embed", "decoder.layers"), row[:3].tolist(), strict=True))
    for name, values in zip(INDEXED, row[3:].reshape(6, 6).tolist(), strict=True):
        genes |= {f"{name}[{i}]": v for i, v in enumerate(values)}
    return space.architecture(genes)


def relative(found: np.ndarray | torch.Tensor, expected: np.ndarray | torch.Tensor) -> float:
    return float(abs(found - expected).max() / abs(expected).max())


# ---------------------------------------------------------------------- the authors' code
@torch.no_grad()
@pytest.mark.parametrize("every", [4, pytest.param(1, marks=pytest.mark.slow)])  # of the golden subnets
def test_logits_are_those_of_the_authors_code(net: HatTransformer, golden: dict[str, np.ndarray], every: int) -> None:
    pairs = {"short": sentences(8, 7), "long": sentences(23, 15)}
    worst = 0.0
    archs = [golden_arch(net.space, row) for row in golden["genes"]]
    assert len(set(archs)) >= 200
    for k, arch in list(enumerate(archs))[::every]:
        net.activate(arch)
        for length, pair in pairs.items():
            logits = net(*pair).numpy().ravel()
            worst = max(worst, relative(logits[places(logits.size)], golden[length][k]))
    assert worst <= 1e-5


@pytest.mark.parametrize("every", [4, pytest.param(1, marks=pytest.mark.slow)])  # of the golden subnets
def test_translations_are_those_of_the_authors_code(
    net: HatTransformer, golden: dict[str, np.ndarray], every: int
) -> None:
    source, _ = sentences(8, 7)
    lengths = golden["beam_lengths"]
    assert len(np.unique(lengths)) > 5
    for k in range(0, len(lengths), every):
        subnet = net.subnet(golden_arch(net.space, golden["genes"][k]))
        for j, (beam, penalty, most) in enumerate(SEARCHES):
            found = translate(subnet, source, beam, length_penalty=penalty, max_length=most)
            expected = [tuple(golden["beam_tokens"][k, j, s, : lengths[k, j, s]].tolist()) for s in range(3)]
            assert [h.tokens for h in found] == expected
            assert np.allclose([h.score for h in found], golden["beam_scores"][k, j], rtol=1e-4, atol=1e-4)


# ---------------------------------------------------------------------- published numbers
@pytest.mark.parametrize(
    ("embed", "encoder_ffn", "decoder_ffn", "memory", "millions", "gflops"),
    [  # README: model size without embeddings, FLOPs without embeddings and output layer, two a MAC
        (512, "323232", "12", (-1, -1), 29.42, 1.78),  # Raspberry Pi, 4.0 s
        (512, "333333", "2233", (-1, -1, 1, -1), 44.13, 2.70),  # Raspberry Pi, 6.0 s
        (512, "333233", "123", (-1, 1, -1), 36.77, 2.26),  # Raspberry Pi, 5.0 s
        (512, "333333", "22333", (-1, 1, 1, 1, -1), 49.38, 3.09),  # TITAN Xp, 208.1 ms
        (640, "333333", "333", (-1, 1, 1), 51.20, 3.17),  # TITAN Xp, 146.7 ms
        (512, "333333", "3", (1,), 30.47, 1.87),  # TITAN Xp, 57.1 ms
        (512, "333333", "333333", (-1, 1, 1, 1, -1, -1), 56.73, 3.53),  # Xeon, 450.9 ms
    ],
)
def test_sizes_are_the_published_ones(
    published: HatTransformer,
    embed: int,
    encoder_ffn: str,
    decoder_ffn: str,
    memory: tuple[int, ...],
    millions: float,
    gflops: float,
) -> None:
    genes: dict[str, int] = {"encoder.embed": embed, "decoder.embed": embed, "decoder.layers": len(memory)}
    for side, ffn in (("encoder", encoder_ffn), ("decoder", decoder_ffn)):
        genes |= {f"{side}.ffn[{i}]": 1024 * int(f) for i, f in enumerate(ffn)}
    genes |= {f"decoder.memory[{i}]": m for i, m in enumerate(memory)}
    for i in range(6):
        genes |= {f"encoder.heads[{i}]": 4, f"decoder.heads[{i}]": 8, f"decoder.cross_heads[{i}]": 4}
    arch = published.space.architecture(genes)
    costs = published.cost_features(published.space.to_array([arch]))
    assert round((published.params(arch) - 2 * 32768 * embed) / 1e6, 2) == millions
    assert round(2 * (published.macs(arch) - costs["macs_output"][0]) / 1e9, 2) == gflops


def test_ends_of_the_space_have_the_sizes_of_the_authors_code(published: HatTransformer) -> None:
    space = published.space
    ends = [space.largest(), space.smallest()]
    plain = space.architecture({**ends[0], **{f"decoder.memory[{i}]": -1 for i in range(6)}})
    embeddings = [2 * 32768 * w for w in (640, 512, 640)]
    sizes = published.params_array(space.to_array([*ends, plain])) - embeddings
    assert sizes.tolist() == [70_900_992, 15_771_136, 70_900_992]
    macs = published.macs_array(space.to_array([*ends, plain])) / 1e6
    assert macs.round(1).tolist() == [3016.1, 982.5, 2769.1]
    encoder = published.cost_features(space.to_array(ends))["macs_encoder"] / 1e6
    assert encoder.round(1).tolist() == [949.2, 383.0]


def test_cardinality_is_the_published_one(published: HatTransformer) -> None:
    assert published.space.cardinality == 2 * 6**6 * 2 * sum(36**n for n in range(1, 7)) == 417_846_678_672_384
    assert len(published.space.names) == 2 + 1 + 2 * 6 + 4 * 6


def test_state_dict_is_that_of_the_published_files(published: HatTransformer) -> None:
    state = published.state_dict()
    assert len(state) == 186 - 4  # without the version marks and the place holders for positions
    expected = {
        "encoder.embed_tokens.weight": (32768, 640),
        "decoder.embed_tokens.weight": (32768, 640),
        "encoder.layers.5.self_attn.in_proj_weight": (1536, 640),
        "encoder.layers.0.self_attn.in_proj_bias": (1536,),
        "decoder.layers.0.self_attn.out_proj.weight": (640, 512),
        "decoder.layers.5.encoder_attn.in_proj_weight": (1536, 640),
        "decoder.layers.5.encoder_attn_layer_norm.bias": (640,),
        "decoder.layers.2.fc1.weight": (3072, 640),
        "decoder.layers.2.fc2.weight": (640, 3072),
        "encoder.layers.1.final_layer_norm.weight": (640,),
    }
    assert {k: tuple(state[k].shape) for k in expected} == expected


def test_the_card_tells_the_family(published: HatTransformer) -> None:
    with torch.device("meta"):
        card = ENTRY.full_card()
    assert card["subnets"] == published.space.cardinality and card["macs_largest"] == 3_016_089_600
    assert ENTRY.find_task().score_name == "BLEU" and not ENTRY.calibrated


# ---------------------------------------------------------------------- independent counts
class Written(TorchDispatchMode):
    """Counts the elements that matrix products write."""

    def __init__(self) -> None:
        super().__init__()
        self.elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        out = func(*args, **(kwargs or {}))
        if func.overloadpacket in (torch.ops.aten.mm, torch.ops.aten.addmm, torch.ops.aten.bmm):
            self.elements += out.numel()
        return out


@torch.no_grad()
def test_vectorised_costs_equal_those_of_torch(net: HatTransformer) -> None:
    rows = net.space.sample_array(12, np.random.default_rng(3))
    costs = net.cost_features(rows)
    for k, arch in enumerate(net.space.from_array(rows)):
        subnet = net.subnet(arch)
        assert costs["params"][k] == net.params(arch) == sum(p.numel() for p in subnet.parameters())
        counter, written = FlopCounterMode(display=False), Written()
        pair = torch.full((1, CONFIG.source_tokens), 4), torch.full((1, CONFIG.target_tokens), 4)
        with counter, written:
            subnet(*pair)
        assert costs["macs"][k] == net.macs(arch) == counter.get_total_flops() // 2
        assert costs["activations"][k] == written.elements


def test_cost_features_add_up(net: HatTransformer) -> None:
    archs = net.space.sample(10, np.random.default_rng(0))
    costs = net.cost_features(net.space.to_array(archs))
    assert np.array_equal(costs["macs"], sum(costs[f"macs_{s}"] for s in ("encoder", "decoder", "output")))
    assert costs["layers"].tolist() == [a["decoder.layers"] for a in archs]
    assert (costs["macs_cross"] < costs["macs_decoder"]).all()
    values, names = net.features(archs)
    assert values.shape == (10, len(names)) and len(set(names)) == len(names)


# ---------------------------------------------------------------------- the contract of a supernet
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32))
@torch.no_grad()
def test_subnets_equal_the_activated_supernet(seed: int, net: HatTransformer) -> None:
    (arch,) = net.space.sample(1, np.random.default_rng(seed))
    pair = sentences(5 + seed % 11, 4 + seed % 7)
    net.activate(arch)
    expected, found = net(*pair), net.subnet(arch)(*pair)
    assert expected.shape == (*pair[1].shape, 48) and float(expected.std(0).max()) > 1e-3
    assert relative(found, expected) <= 1e-6


def test_a_fresh_supernet_is_set_to_its_largest_subnet(net: HatTransformer) -> None:
    pair, fresh = sentences(6, 5), with_recipe(HatTransformer(CONFIG))
    expected = fresh(*pair)
    fresh.activate(fresh.space.smallest())
    assert not torch.allclose(fresh(*pair), expected)
    fresh.activate(fresh.space.largest())
    assert torch.equal(fresh(*pair), expected)


def test_a_subnet_shares_nothing_with_its_supernet(net: HatTransformer) -> None:
    subnet = net.subnet(net.space.largest())
    mine = {v.untyped_storage().data_ptr() for v in subnet.state_dict().values()}
    theirs = {v.untyped_storage().data_ptr() for v in (*net.state_dict().values(), net.positions)}
    assert not mine & theirs and len(mine) == len(subnet.state_dict())
    assert all(v.is_contiguous() for v in subnet.state_dict().values())


def test_a_subnet_is_in_the_mode_of_its_supernet(net: HatTransformer) -> None:
    arch = net.space.smallest()
    assert not any(m.training for m in net.subnet(arch).modules())
    assert all(m.training for m in with_recipe(HatTransformer(CONFIG)).train().subnet(arch).modules())


def test_weights_of_the_active_subnet_can_be_trained(net: HatTransformer) -> None:
    net.activate(net.space.smallest())
    subnet = net.subnet(net.space.smallest())
    for each in (net, subnet):
        each(*sentences(6, 5)).square().mean().backward()
    touched = {name: p.grad for name, p in net.named_parameters() if p.grad is not None}
    assert not [name for name in touched if name.startswith("decoder.layers.1.")]
    grad = touched["encoder.layers.0.fc1.weight"]
    own = subnet.get_parameter("encoder.layers.0.fc1.weight").grad
    assert own is not None and own.any() and relative(grad[:32, :32], own) <= 1e-5
    assert not grad[32:].any() and not grad[:, 32:].any()
    net.zero_grad()


def test_genes_of_cut_layers_are_dropped(net: HatTransformer) -> None:
    genes = net.space.largest().to_dict() | {"decoder.layers": 2}
    arch = net.space.architecture(genes)
    kept = {int(n[-2]) for n in arch if n.startswith("decoder.") and n.endswith("]")}
    assert kept == {0, 1}
    assert arch == net.space.architecture(genes | {"decoder.memory[2]": -1, "decoder.ffn[5]": 32})
    assert {int(n[-2]) for n in arch if n.startswith("encoder.") and n.endswith("]")} == set(range(6))


def test_architectures_of_another_space_are_refused(net: HatTransformer) -> None:
    other = SearchSpace("other", net.space.choices).smallest()
    for use in (net.activate, net.subnet, net.macs):
        with pytest.raises(SpaceError, match="'other', not"):
            use(other)


def test_shapes_that_cannot_be_are_refused() -> None:
    with pytest.raises(SupernetError, match="3 heads cannot share a width of 32"):
        HatConfig("x", 48, qkv=32, heads=(2, 3))
    with pytest.raises(SupernetError, match="memory 2 needs more than 2 encoder layers"):
        HatConfig("x", 48, encoder_layers=2)


# ---------------------------------------------------------------------- files
def fairseq_file(net: HatTransformer, path: Path, **more: object) -> Path:
    """A weight file laid out as fairseq writes it, with the names of the authors' files."""
    state = {k: v.half() for k, v in net.state_dict().items()}
    for side in ("encoder", "decoder"):
        state |= {f"{side}.version": torch.tensor([3.0]), f"{side}.embed_positions._float_tensor": torch.zeros(1)}
    args = argparse.Namespace(arch="transformersuper_wmt_en_de", encoder_embed_choice=[640, 512], lr=[1e-7])
    torch.save({"args": args, "model": state, "optimizer_history": [{"num_updates": 40000}], **more}, path)
    return path


def test_a_file_of_fairseq_loads(net: HatTransformer, tmp_path: Path) -> None:
    state = read_state(fairseq_file(net, tmp_path / "super.pt"))
    loaded = HatTransformer(CONFIG).eval()
    load_weights(loaded, state, "super.pt")
    assert all(torch.equal(v, net.state_dict()[k].half().float()) for k, v in loaded.state_dict().items())


def test_a_file_of_fairseq_with_its_meters_loads(net: HatTransformer, tmp_path: Path) -> None:
    """fairseq keeps objects of its own beside the weights: they are read as plain values."""
    meters = ModuleType("fairseq.meters")
    meters.TimeMeter = type("TimeMeter", (), {"__module__": "fairseq.meters"})  # type: ignore[attr-defined]
    meter = meters.TimeMeter()
    meter.start = 1.5
    sys.modules |= {"fairseq": ModuleType("fairseq"), "fairseq.meters": meters}
    try:
        path = fairseq_file(net, tmp_path / "super.pt", extra_state={"train_meters": {"wall": meter}})
    finally:
        del sys.modules["fairseq"], sys.modules["fairseq.meters"]
    assert len(read_state(path)) == len(net.state_dict()) + 4


def test_the_embedding_may_stand_once_in_a_file_but_not_be_two(net: HatTransformer) -> None:
    state, (first, second) = net.state_dict(), EMBEDDINGS
    for name in (first, second):
        once = {k: v for k, v in state.items() if k != name}
        loaded = HatTransformer(CONFIG)
        load_weights(loaded, once, "once.safetensors")
        assert all(torch.equal(v, state[k]) for k, v in loaded.state_dict().items())
    with pytest.raises(CheckpointError, match="different embeddings"):
        load_weights(HatTransformer(CONFIG), state | {second: state[first] + 1}, "two.pt")
    with pytest.raises(CheckpointError, match=r"1 missing \(decoder.layers.0.fc1.bias\)"):
        load_weights(HatTransformer(CONFIG), {k: v for k, v in state.items() if k != "decoder.layers.0.fc1.bias"}, "x")


class Code:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


def test_a_file_with_code_in_it_is_still_refused(net: HatTransformer, tmp_path: Path) -> None:
    path = fairseq_file(net, tmp_path / "super.pt", extra_state=Code(tmp_path / "made"))
    with pytest.raises(CheckpointError, match="could run code"):
        read_state(path)
    assert not (tmp_path / "made").exists()


def test_the_vocabulary_is_that_of_the_file() -> None:
    with torch.device("meta"):
        assert build_for({"encoder.embed_tokens.weight": torch.zeros(44_512, 640)}).classes == 44_512
        with pytest.raises(CheckpointError, match="no embedding"):
            build_for({"classifier.weight": torch.zeros(10, 10)})


# ---------------------------------------------------------------------- translation
@torch.no_grad()
def test_steps_with_a_cache_equal_whole_passes(net: HatTransformer) -> None:
    source, previous = sentences(9, 8)
    previous[previous == PAD] = 7
    for arch in net.space.sample(5, np.random.default_rng(2)):
        subnet = net.subnet(arch)
        expected = subnet(source, previous)
        memory, past = subnet.encode(source), subnet.start(3)
        for t in range(8):
            logits, past = subnet.step(previous[:, t : t + 1], source, memory, past)
            assert relative(logits, expected[:, t]) <= 1e-5


@torch.no_grad()
def greedy(subnet: HatSubnet, source: torch.Tensor, most: int) -> list[tuple[int, ...]]:
    """Greedy translation by whole passes, nothing cached."""
    found = []
    for row in source:
        tokens = [EOS]
        while len(tokens) <= most:
            logits = subnet(row[row != PAD][None], torch.tensor([tokens]))[0, -1]
            logits[PAD] = -torch.inf
            if len(tokens) == 1:
                logits[EOS] = -torch.inf
            tokens.append(int(logits.argmax()))
            if tokens[-1] == EOS:
                break
        found.append(tuple(t for t in tokens[1:] if t != EOS))
    return found


def test_a_beam_of_one_is_greedy_and_padding_is_nothing(net: HatTransformer) -> None:
    source, _ = sentences(9, 8)
    for arch in net.space.sample(6, np.random.default_rng(8)):
        subnet = net.subnet(arch)
        assert [h.tokens for h in translate(subnet, source, 1, max_length=9)] == greedy(subnet, source, 9)


@torch.no_grad()
@pytest.mark.parametrize("penalty", [0.0, 0.6, 2.0])
def test_a_wide_beam_finds_the_best_of_all_translations(penalty: float) -> None:
    config = HatConfig("tiny", 7, (8,), 8, 3, (2,), (16,), (2,), positions=16)
    subnet = with_recipe(HatTransformer(config)).subnet(HatTransformer(config).space.largest())
    source = torch.tensor([[4, 5, 6, EOS], [PAD, PAD, 6, EOS]])
    words = [t for t in range(7) if t not in (PAD, EOS)]
    every = [h for n in (1, 2, 3) for h in itertools.product(words, repeat=n)]
    best = translate(subnet, source, len(every), length_penalty=penalty, max_length=3)
    for row, found in zip(source, best, strict=True):
        scored = {}
        for h in every:
            logp = subnet(row[None], torch.tensor([[EOS, *h]]))[0].log_softmax(1)
            scored[h] = float(sum(logp[i, t] for i, t in enumerate([*h, EOS]))) / (len(h) + 1) ** penalty
        expected = max(scored, key=scored.__getitem__)
        assert found.tokens == expected
        assert found.score == pytest.approx(scored[expected], rel=1e-4)


@torch.no_grad()
def test_hypotheses_of_a_sentence_share_its_memory(net: HatTransformer) -> None:
    """Equal to a step with sources, keys and values repeated for each of them."""
    source, previous = sentences(9, 8)
    for arch in net.space.sample(4, np.random.default_rng(4)):
        subnet = net.subnet(arch)
        memory, past, beam = subnet.encode(source), subnet.start(12), 4
        rows = [t.repeat_interleave(beam, 0) for t in (source, *memory)]
        for token in torch.randint(4, 48, (3, 12, 1), generator=torch.Generator().manual_seed(0)):
            logits, after = subnet.step(token, source, memory, past, beam)
            expected, past = subnet.step(token, rows[0], rows[1:], past)
            assert max(relative(a, b) for a, b in zip([logits, *after], [expected, *past], strict=True)) <= 1e-5


def test_outputs_that_are_not_finite_are_an_error(net: HatTransformer) -> None:
    subnet = net.subnet(net.space.smallest())
    with torch.no_grad():
        subnet.decoder.embed[3, 9] = torch.nan
    with pytest.raises(MeasurementError, match="not finite"):
        translate(subnet, sentences(8, 7)[0])


# ---------------------------------------------------------------------- deployment
def export(part: Part) -> onnxruntime.InferenceSession:
    sample = tuple(torch.from_numpy(i.sample(2, np.random.default_rng(0))) for i in part.inputs)
    axes = {i.name: i.dynamic_axes() for i in part.inputs} | dict(zip(part.outputs, part.output_axes, strict=True))
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            part.net,
            sample,
            buffer,  # type: ignore[arg-type]
            input_names=[i.name for i in part.inputs],
            output_names=list(part.outputs),
            dynamic_axes=axes,
            opset_version=17,
            dynamo=False,
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(buffer.getvalue(), options, providers=["CPUExecutionProvider"])
    assert [i.name for i in session.get_inputs()] == [i.name for i in part.inputs]
    return session


class Deployed:
    """A translator that is nothing but the two model files."""

    def __init__(self, parts: list[Part], positions: int) -> None:
        self.encoder, self.decoder = (export(p) for p in parts)
        self.positions = positions

    def run(self, session: onnxruntime.InferenceSession, tensors: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        names = [i.name for i in session.get_inputs()]
        feed = {n: t.numpy() for n, t in zip(names, tensors, strict=True)}
        return [torch.from_numpy(v) for v in session.run(None, feed)]

    def encode(self, source: torch.Tensor) -> list[torch.Tensor]:
        return self.run(self.encoder, [source])

    def start(self, n: int) -> list[torch.Tensor]:
        shapes = [i.shape for i in self.decoder.get_inputs() if i.name.startswith("self_")]
        return [torch.zeros(n, s[1], 0, s[3]) for s in shapes]

    def step(
        self,
        token: torch.Tensor,
        source: torch.Tensor,
        memory: Sequence[torch.Tensor],
        past: Sequence[torch.Tensor],
        beam: int = 1,
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        source, *memory = (t.repeat_interleave(beam, 0) for t in (source, *memory))  # the model has one batch
        logits, *present = self.run(self.decoder, [token, source, *memory, *past])
        return logits, present


@torch.no_grad()
def test_the_deployed_models_equal_torch_and_translate_alike(net: HatTransformer) -> None:
    space = net.space
    archs = [space.architecture({**space.largest(), "decoder.layers": 2}), *space.sample(2, np.random.default_rng(6))]
    for arch in archs:
        subnet = net.subnet(arch)
        parts = net.parts(arch, subnet)
        assert [(p.name, p.runs) for p in parts] == [("encoder", 1), ("decoder-step", CONFIG.target_tokens)]
        deployed = Deployed(parts, subnet.positions)
        for source in (sentences(8, 7)[0], sentences(13, 7)[0][:1]):  # other batches and lengths than traced
            n = len(source)
            memory, past = subnet.encode(source), subnet.start(n)
            assert max(relative(a, b) for a, b in zip(deployed.encode(source), memory, strict=True)) <= 1e-5
            for token in (EOS, 9, 11):
                tokens = torch.full((n, 1), token)
                expected, after = subnet.step(tokens, source, memory, past)
                logits, present = deployed.step(tokens, source, memory, past)
                assert max(relative(a, b) for a, b in zip([logits, *present], [expected, *after], strict=True)) <= 1e-5
                past = after
            for beam in (1, 4):
                mine: list[Hypothesis] = translate(deployed, source, beam, max_length=10)
                theirs = translate(subnet, source, beam, max_length=10)
                assert [h.tokens for h in mine] == [h.tokens for h in theirs]


def test_parts_are_timed_with_what_they_take(net: HatTransformer) -> None:
    arch = net.space.largest()
    encoder, step = net.parts(arch, net.subnet(arch))
    assert encoder.inputs[0].full_shape(2) == (2, *net.input_shape(arch)) == (2, 9)
    shapes = {i.name: i.full_shape(2) for i in step.inputs}
    assert shapes["token"] == (2, 1) and shapes["cross_keys_5"] == (2, 4, 27, 8)
    assert shapes["self_values_0"] == (2, 4, CONFIG.target_tokens // 2, 8)
    assert len(step.inputs) == 2 + 4 * 6 and len(step.outputs) == 1 + 2 * 6 == len(step.output_axes)
    tokens = encoder.inputs[0].sample(50, np.random.default_rng(0))
    assert tokens.min() >= 4 and tokens.max() < 48


@pytest.mark.parametrize("wrong", [{"beam": 0}, {"max_length": 0}, {"length_penalty": float("nan")}])
def test_arguments_of_a_translation_that_cannot_be_are_told(net: HatTransformer, wrong: dict[str, float]) -> None:
    subnet, (source, _) = net.subnet(net.space.smallest()), sentences(8, 7)
    with pytest.raises(MeasurementError, match="must be at least 1"):
        translate(subnet, source, **wrong)
    with pytest.raises(MeasurementError, match="a sentence of 99 tokens"):
        translate(subnet, torch.full((1, 99), 5))
