"""Every family runs the whole line: the authors' file layout in, a local data set, and models that run out.

Shapes are small; most weights are trained on the data for a moment, so that accuracies say whether labels fit outputs.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import save_file

import hwsearch
from hwsearch.campaigns import Campaign
from hwsearch.campaigns.jobs.workloads import ready_subnet
from hwsearch.cli.main import main
from hwsearch.reporting import ReportData
from hwsearch.store import Store
from hwsearch.supernets import catalogue
from hwsearch.supernets.base import Supernet
from hwsearch.supernets.declared import Depth, Width
from hwsearch.supernets.entry import SupernetEntry
from hwsearch.supernets.families import attentivenas, bert, hat, ofa, plain, vit
from hwsearch.supernets.families.attentivenas import AttentiveNAS, AttentiveNASConfig, WideStage
from hwsearch.supernets.families.bert import ElasticBert, ElasticBertConfig
from hwsearch.supernets.families.hat import HatConfig, HatTransformer
from hwsearch.supernets.families.mobilenetv3.config import Stage
from hwsearch.supernets.families.mobilenetv3.supernet import ElasticMobileNetV3
from hwsearch.supernets.families.plain import BasicBlock, PlainSupernet, ResNet
from hwsearch.supernets.families.resnet import ElasticResNet, ResNetConfig
from hwsearch.supernets.families.vit import ElasticViT, ElasticViTConfig
from hwsearch.tasks.data import Data
from hwsearch.tasks.images.data import ImageData
from hwsearch.tasks.text.data import TextData
from hwsearch.tasks.translation.data import TranslationData
from hwsearch.tasks.translation.vocabulary import EOS, PAD, SPECIALS
from hwsearch.testing.weights import seeded_weights

CLASSES = ("circles", "dots", "stripes")
SETTINGS = """
[supernet]
name = "{name}"
checkpoint = "{checkpoint}"

[data]
{data}
calibration_images = 16
validation_images = 24
test_images = 24
batch = 12

[[device]]
name = "cpu"

[[objective]]
metric = "accuracy"

[[objective]]
metric = "latency"

[protocol]
processes = [2, 2]
loads = 1
visits = 2
block_ms = 0.2
warmup_ms = 1.0
block_runs = 1

[fleet]
isolation = false

[profile]
latency = 8
accuracy = 8
random = 2

[search]
rounds = 1
per_round = 2
inner_evaluations = 200

[validate]
candidates = 3
processes = [2, 2]
"""


# ---------------------------------------------------------------------- data sets
def image_folders(folder: Path) -> str:
    """Three splits of class folders with pictures that differ in colour and pattern; returns the configuration."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:40, :48]
    patterns = (np.hypot(x - 24, y - 20) % 12 < 6, (x // 4 + y // 4) % 2 == 0, x % 8 < 4)
    for split in ("calibration", "validation", "test"):
        for k, name in enumerate(CLASSES):
            place = folder / split / name
            place.mkdir(parents=True)
            for i in range(8):
                pixels = rng.integers(0, 90, (40, 48, 3))
                pixels[..., k] += 160 * np.roll(patterns[k], i, axis=1)
                Image.fromarray(pixels.astype(np.uint8)).save(place / f"{i}.png")
    return "".join(f'{s} = "{folder / s}"\n' for s in ("calibration", "validation", "test"))


WORDS = ("a", "film", "that", "is", "not", "very", "good", "bad", "##ly", "##ness", "dull", "bright", ",", ".")


def sst2(folder: Path) -> str:
    """``SST-2/dev.tsv`` and ``test.tsv`` with labels, and the vocabulary beside them."""
    place = folder / "SST-2"
    place.mkdir()
    (place / "vocab.txt").write_text("\n".join(("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS)) + "\n")
    rng = np.random.default_rng(1)
    for split in ("dev", "test"):
        rows = ["sentence\tlabel"]
        for _ in range(24):
            label = int(rng.integers(2))
            words = [*rng.choice(WORDS[:6], 5), ("bad", "good")[label] + "ly", "."]
            rows.append(f"{' '.join(words)}\t{label}")
        (place / f"{split}.tsv").write_text("\n".join(rows) + "\n")
    return f'validation = "{place / "dev.tsv"}"\ntest = "{place / "test.tsv"}"\n'


SUBWORDS = tuple(
    f"{w}{end}" for w in ("ha", "ne", "to", "ri", "lu", "mo", "ka", "se", "vi", "po") for end in ("", "@@")
)


def pairs(folder: Path) -> str:
    """Sentence pairs ``valid.en|de`` and ``test.en|de`` of subwords, with the dictionary fairseq writes."""
    rng = np.random.default_rng(2)
    for split in ("valid", "test"):
        for language in ("en", "de"):
            lines = [" ".join([*SUBWORDS[: rng.integers(6, 12)], SUBWORDS[0]]) for _ in range(24)]
            (folder / f"{split}.{language}").write_text("\n".join(lines) + "\n")
    for language in ("en", "de"):
        (folder / f"dict.{language}.txt").write_text("".join(f"{t} {99 - i}\n" for i, t in enumerate(SUBWORDS)))
    return f'validation = "{folder / "valid"}:en-de"\ntest = "{folder / "test"}"\n'


# ---------------------------------------------------------------------- weight files, as their authors lay them out
State = dict[str, torch.Tensor]


def of_ofa(state: State, path: Path) -> None:
    torch.save({"state_dict": state}, path)


def of_attentivenas(state: State, path: Path) -> None:
    torch.save({"epoch": 359, "state_dict": {f"module.{k}": v for k, v in state.items()}}, path)


def of_fairseq(state: State, path: Path) -> None:
    marks = {
        f"{side}.{n}": torch.ones(1)
        for side in ("encoder", "decoder")
        for n in ("version", "embed_positions._float_tensor")
    }
    record = {
        "args": argparse.Namespace(arch="transformersuper_wmt_en_de", share_all_embeddings=True),
        "model": {**state, **marks, "decoder.embed_tokens.weight": state["encoder.embed_tokens.weight"]},
        "optimizer_history": [{"num_updates": 40000}],
        "extra_state": {"epoch": 9, "val_loss": 3.5},
        "last_optimizer_state": None,
    }
    torch.save(record, path)


def of_torchvision(state: State, path: Path) -> None:
    torch.save({k: v for k, v in state.items() if k != "importance_sorted"}, path)


def of_hugging_face(state: State, path: Path) -> None:
    save_file(state, path, metadata={"format": "pt"})


# ---------------------------------------------------------------------- families
@dataclass(frozen=True)
class Family:
    """One case.

    entry : as in the catalogue, at another shape where the published one takes too long
    steps, rate : of training on the data, after which the best subnet is above `least`
    """

    entry: SupernetEntry
    net: Callable[[], Supernet]
    data: Callable[[Path], str]
    write: Callable[[State, Path], None]
    file: str
    steps: int = 0
    least: float = 0.0
    rate: float = 6e-3


def resized(entry: SupernetEntry, build: Callable[[], Supernet]) -> SupernetEntry:
    return replace(entry, build=build, build_for=lambda state: build())


def published_mobilenetv3() -> Supernet:
    return ElasticMobileNetV3(replace(ofa.ofa_mobilenetv3(1.0), classes=3))


def mobilenetv3() -> Supernet:
    stages = (Stage(8, 2, "relu", False), Stage(16, 2, "h_swish", True))
    config = replace(ofa.ofa_mobilenetv3(1.0), stages=stages, stem_width=8, final_width=32, mix_width=32, classes=3)
    return ElasticMobileNetV3(replace(config, resolutions=(24, 32, 40)))


def proxylessnas() -> Supernet:
    stages = (Stage(8, 2, "relu6", False), Stage(16, 2, "relu6", False), Stage(24, 1, "relu6", False, depths=(1,)))
    config = replace(ofa.ofa_proxylessnas(1.3), stages=stages, stem_width=8, first_width=8, mix_width=32, classes=3)
    return ElasticMobileNetV3(replace(config, resolutions=(24, 32, 40)))


def resnet() -> Supernet:
    return ElasticResNet(ResNetConfig("ofa-resnet50d", 16, (32, 48), (1, 2), (1, 2), classes=3, resolutions=(24, 32)))


def attentive() -> Supernet:
    stages = (
        WideStage((8, 16), (1, 2), (1,), 1, False),
        WideStage((16, 24), (1, 2, 3), (2, 3), 2, True),
        WideStage((24, 32), (1, 2), (3,), 2, True),
    )
    return AttentiveNAS(AttentiveNASConfig("alphanet", (8, 16), stages, (32, 48), classes=3, resolutions=(24, 28, 32)))


def transformer() -> Supernet:
    config = HatConfig(
        vocabulary=len(SPECIALS) + len(SUBWORDS),
        embeds=(16, 24),
        qkv=16,
        encoder_layers=3,
        decoder_layers=(1, 2),
        ffns=(16, 32),
        heads=(2, 4),
        positions=64,
        source_tokens=6,
        target_tokens=6,
    )
    return HatTransformer(config)


def text_encoder() -> Supernet:
    some: dict[str, Any] = dict(hidden=128, head_size=64, layers=(2, 3, 4), heads=(1, 2), ffn=(64, 128))
    return ElasticBert(ElasticBertConfig(name="x", vocabulary=5 + len(WORDS), positions=32, tokens=32, **some))


def image_encoder() -> Supernet:
    some: dict[str, Any] = dict(hidden=192, head_size=64, layers=(2, 3, 4), heads=(1, 2, 3), ffn=(64, 128))
    return ElasticViT(ElasticViTConfig(name="x", classes=3, norm_eps=1e-12, patch=8, resolutions=(32,), **some))


def plain_resnet() -> Supernet:
    declared = {"layer*.*.conv1": Width((0.5, 1.0)), "layer[34]": Depth((1, 2))}
    return PlainSupernet(
        ResNet(BasicBlock, (1, 1, 2, 2), classes=3, width=16), declared, name="resnet18", resolutions=(32, 48)
    )


MOBILENETV3 = resized(ofa.W10, mobilenetv3)
PROXYLESS = resized(ofa.PROXYLESS, proxylessnas)
RESNET50D = resized(ofa.RESNET50D, resnet)
ALPHANET = resized(attentivenas.ALPHANET, attentive)
HAT = resized(hat.ENTRY, transformer)

FAMILIES = [
    Family(MOBILENETV3, mobilenetv3, image_folders, of_ofa, "ofa_mbv3_d234_e346_k357_w1.0"),
    Family(PROXYLESS, proxylessnas, image_folders, of_ofa, "ofa_proxyless_d234_e346_k357_w1.3", 6, 80),
    Family(RESNET50D, resnet, image_folders, of_ofa, "ofa_supernet_resnet50", 3, 80),
    Family(ALPHANET, attentive, image_folders, of_attentivenas, "alphanet_pretrained.pth.tar", 3, 80),
    Family(HAT, transformer, pairs, of_fairseq, "HAT_wmt14ende_super_space0.pt", 30, 30),
    Family(bert.ENTRY, text_encoder, sst2, of_hugging_face, "model.safetensors", 15, 80, 3e-3),
    Family(resized(plain.RESNET18, plain_resnet), plain_resnet, image_folders, of_torchvision, "resnet18.pth", 3, 80),
    Family(vit.B16_HALF, image_encoder, image_folders, of_hugging_face, "model.safetensors", 3, 80, 3e-3),
]


PUBLISHED = Family(ofa.W10, published_mobilenetv3, image_folders, of_ofa, "ofa_mbv3_d234_e346_k357_w1.0")
PROXYLESS_FAMILY, HAT_FAMILY = FAMILIES[1], FAMILIES[4]


def teach(net: Supernet, data: Data, steps: int, rate: float) -> None:
    """Train the weights a little: in each step the largest, the smallest and a random subnet."""
    rng = np.random.default_rng(0)
    optimizer = torch.optim.Adam(net.parameters(), rate)
    ends = (net.space.largest(), net.space.smallest())
    net.train()
    for _ in range(steps):
        for arch in (*ends, *net.space.sample(1, rng)):
            net.activate(arch)
            x, y = next(iter(data.batches(net.input_size(arch), len(data))))
            logits = net(x) if isinstance(x, torch.Tensor) else net(*x)
            ignored = PAD if isinstance(data, TranslationData) else -100
            F.cross_entropy(logits.flatten(0, -2), y.flatten(), ignore_index=ignored).backward()
        optimizer.step()
        optimizer.zero_grad()


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Writes a family's weights and data, and returns the configuration; `change` alters the weights last."""

    def start(family: Family, change: Callable[[State], None] = lambda state: None) -> Path:
        ours = {name: catalogue.entry(name) for name in ("cifar10-mbv3",)}
        monkeypatch.setattr(catalogue, "entry", lambda name: (ours | {family.entry.name: family.entry})[name])
        monkeypatch.setattr("hwsearch.campaigns.campaign.compute_threads", lambda: 1)
        data = family.data(tmp_path)
        net = family.net()
        net.load_state_dict(seeded_weights(net.state_dict()))
        if family.steps:
            part = re.search(r'(?:calibration|validation) = "(.*)"', data)
            assert part is not None
            teach(net, family.entry.find_task().read(part[1], limit=24), family.steps, family.rate)
        state = {k: v.detach().clone() for k, v in net.state_dict().items()}
        change(state)
        family.write(state, tmp_path / family.file)
        config = tmp_path / "campaign.toml"
        config.write_text(SETTINGS.format(name=family.entry.name, checkpoint=tmp_path / family.file, data=data))
        return config

    return start


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs a command, which must succeed, and returns what it printed."""

    def command(*words: str) -> str:
        monkeypatch.setattr(sys, "argv", ["hwsearch", *words])
        capsys.readouterr()
        main()
        return capsys.readouterr().out

    return command


def check_models(campaign: Campaign, cards: list[Path]) -> None:
    """Every exported file runs and gives what the extracted subnet gives, on real data where it takes them as they are."""
    assert cards
    for path in cards:
        card = json.loads(path.read_text())
        arch = campaign.space.architecture(card["architecture"]["genes"])
        net, size = ready_subnet(campaign, arch), campaign.loaded.net.input_size(arch)
        sizes = {k: v for k, v in card["input"]["preprocess"].items() if k in ("side", "tokens")}
        expected_sizes = {ImageData: {"side": size}, TextData: {"tokens": size}, TranslationData: {}}
        assert sizes == expected_sizes[type(campaign.data["test"])]
        parts = campaign.loaded.net.parts(arch, net)
        assert [f["runs"] for f in card["files"]] == [p.runs for p in parts]
        for part, file in zip(parts, card["files"], strict=True):
            session = onnxruntime.InferenceSession(path.with_name(file["file"]), providers=["CPUExecutionProvider"])
            if len(parts) == 1:
                x, _ = next(iter(campaign.data["test"].batches(size, 5)))
                values = [x] if isinstance(x, torch.Tensor) else list(x)
            else:
                rng = np.random.default_rng(3)
                values = [torch.from_numpy(i.sample(3, rng)) for i in part.inputs]
            names = [i.name for i in part.inputs]
            assert [i.name for i in session.get_inputs()] == names == [i["name"] for i in file["inputs"]]
            found = session.run(None, {n: v.contiguous().numpy() for n, v in zip(names, values, strict=True)})
            with torch.no_grad():
                outputs = part.net(*values)
            expected = [outputs] if isinstance(outputs, torch.Tensor) else list(outputs)
            for a, b in zip(found, expected, strict=True):
                np.testing.assert_allclose(a, b.numpy(), rtol=1e-3, atol=1e-4)


def test_a_file_of_the_published_shape_tells_its_classes(start: Callable[..., Path]) -> None:
    campaign = Campaign.open(start(PUBLISHED))
    space, net = campaign.space, published_mobilenetv3()
    assert space.name == net.space.name and space.cardinality == net.space.cardinality
    assert campaign.loaded.net.params(space.largest()) == net.params(space.largest())


@pytest.mark.parametrize(
    "family",
    [*FAMILIES, pytest.param(PUBLISHED, id="published", marks=pytest.mark.slow)],
    ids=lambda f: f.entry.name,
)
def test_the_whole_line(family: Family, start: Callable[..., Path], command: Callable[..., str]) -> None:
    config = start(family)
    folder = config.parent / "run"
    result = hwsearch.run(config, folder=folder)
    assert result["measured"] >= 2 * 8 + 2 * 2

    task = family.entry.find_task()
    kind, unit = task.score_name, task.score_unit
    page = (folder / "report.html").read_text()
    assert f"{kind}, test data{' (%)' if unit else ''}" in page
    table = pd.read_csv(folder / "front.csv")
    assert len(table) >= 1 and (table["latency_ms"] > 0).all()
    assert (table["latency_ms_low"] <= table["latency_ms"]).all()
    assert (table["latency_ms"] <= table["latency_ms_high"]).all()
    assert table["accuracy"].max() >= family.least

    campaign = Campaign.open(folder)
    report = ReportData.load(folder / "report.json")
    space = campaign.space
    assert report.supernet["macs_range"] == [campaign.loaded.net.macs(a) for a in (space.smallest(), space.largest())]
    for pick in report.devices[0].picks:
        files = [pick, *pick["further_files"]]
        data = [(folder / f["file"]).read_bytes() for f in files]
        assert [hashlib.sha256(d).hexdigest() for d in data] == [f["sha256"] for f in files]
        assert sum(map(len, data)) == pick["size_bytes"] and all(f["file"] in page for f in files)
    check_models(campaign, list((folder / "models").glob("*/*.json")))

    before = Store.open(folder / "store.sqlite").frame()
    again = Campaign.open(config, folder=folder)
    for step in (hwsearch.profile, hwsearch.evaluate, hwsearch.search, hwsearch.validate):
        step(again)
    pd.testing.assert_frame_equal(before, Store.open(folder / "store.sqlite").frame())
    assert f": {kind} {table['accuracy'].max():.1f}{f' {unit}' if unit else ''} (" in command("pick", str(folder))
    if family in (PROXYLESS_FAMILY, HAT_FAMILY):  # per cent of images, and BLEU
        said = command("run", str(config), "--folder", str(folder))
        assert f"{kind}{f' {unit}' if unit else ''} (95 %)" in said and "0 measurements in" in said


def guess(state: State) -> None:
    """All images are of the first class."""
    state["classifier.linear.weight"].zero_()
    state["classifier.linear.bias"].copy_(torch.tensor([1.0, 0.0, 0.0]))


def be_silent(state: State) -> None:
    """Every translation ends before its first token."""
    end = torch.randn(len(state["decoder.embed_tokens.weight"][EOS]), generator=torch.Generator().manual_seed(0))
    for side in ("encoder", "decoder"):
        state[f"{side}.embed_tokens.weight"][EOS] = 9 * end
    for i in range(2):
        state[f"decoder.layers.{i}.final_layer_norm.weight"].zero_()
        state[f"decoder.layers.{i}.final_layer_norm.bias"].copy_(9 * end)


@pytest.mark.parametrize(
    ("family", "change", "words"), [(PROXYLESS_FAMILY, guess, "top-1 33.3 %"), (HAT_FAMILY, be_silent, "BLEU 0.0")]
)
def test_equal_scores_are_told_and_not_fatal(
    family: Family, change: Callable[[State], None], words: str, start: Callable[..., Path], caplog
) -> None:
    config = start(replace(family, steps=0), change)
    hwsearch.run(config, folder=config.parent / "run")
    warning = f"all 8 evaluated subnets have the same {words}: there is nothing to choose by."
    assert warning in [r.message for r in caplog.records if r.levelname == "WARNING"]
    report = ReportData.load(config.parent / "run" / "report.json")
    assert warning.replace("all 8", "all") in [re.sub(r"all \d+", "all", w) for w in report.warnings]
    assert len(report.devices[0].front) == 1


@pytest.mark.parametrize("family", [FAMILIES[2], HAT_FAMILY], ids=["images", "translation"])
def test_weights_that_know_nothing_of_the_data_are_told(family: Family, start: Callable[..., Path], caplog) -> None:
    config = start(replace(family, steps=0))
    hwsearch.evaluate(Campaign.open(config, folder=config.parent / "run"))
    assert "not clearly better than" in caplog.text and "weights and data may not belong together" in caplog.text


OWN = """
from torch import nn
from hwsearch.tasks.images import ImageTask, Preprocess
from hwsearch.supernets.catalogue import SupernetEntry
from hwsearch.supernets.declared import KernelSize, Width, elastic


def build():
    layers = [nn.Conv2d(3, 16, 5, 2, 2), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 24, 3, 2, 1), nn.BatchNorm2d(24)]
    net = nn.Sequential(*layers, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(24, 3))
    declared = {"0": [Width((0.5, 0.75, 1.0)), KernelSize((3, 5))], "3": Width((0.25, 0.5, 1.0))}
    return elastic(net, declared, name="mine", resolutions=(24, 32))


ENTRY = SupernetEntry("mine", "a network of one's own", build, ImageTask(Preprocess()))
"""


def test_a_network_of_ones_own_in_a_file(tmp_path: Path) -> None:
    """Declared elastic in a file that the configuration names, with weights in plain layout."""
    (tmp_path / "my_nets.py").write_text(OWN)
    name = f"{tmp_path / 'my_nets.py'}:ENTRY"
    net = catalogue.entry(name).build()
    torch.save(seeded_weights(net.state_dict()), tmp_path / "mine.pth")
    config = tmp_path / "campaign.toml"
    data = image_folders(tmp_path)
    config.write_text(SETTINGS.format(name=name, checkpoint=tmp_path / "mine.pth", data=data))
    result = hwsearch.run(config, folder=tmp_path / "run")
    assert result["measured"] > 0 and hwsearch.run(config, folder=tmp_path / "run")["measured"] == 0
    check_models(Campaign.open(tmp_path / "run"), list((tmp_path / "run" / "models").glob("*/*.json")))
