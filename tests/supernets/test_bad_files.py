"""Weight files and data that do not fit: each is one typed error that names the file and the cause."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console
from safetensors.torch import save_file

from hwsearch.cli.main import main
from hwsearch.errors import CheckpointError
from hwsearch.supernets import catalogue
from hwsearch.supernets.base import Supernet
from hwsearch.supernets.entry import SupernetEntry
from hwsearch.supernets.families import attentivenas, bert, hat, ofa, vit
from hwsearch.supernets.families.attentivenas.config import AttentiveNASConfig, WideStage
from hwsearch.supernets.families.attentivenas.supernet import AttentiveNAS
from hwsearch.supernets.families.bert.config import ElasticBertConfig
from hwsearch.supernets.families.bert.supernet import ElasticBert
from hwsearch.supernets.families.hat.config import HatConfig
from hwsearch.supernets.families.hat.supernet import HatTransformer
from hwsearch.supernets.families.mobilenetv3.config import Stage
from hwsearch.supernets.families.mobilenetv3.supernet import ElasticMobileNetV3
from hwsearch.supernets.families.resnet.config import ResNetConfig
from hwsearch.supernets.families.resnet.supernet import ElasticResNet
from hwsearch.supernets.families.vit.config import ElasticViTConfig
from hwsearch.supernets.families.vit.supernet import ElasticViT
from hwsearch.tasks.images.data import ImageData
from hwsearch.tasks.images.task import ImageTask
from hwsearch.tasks.translation.vocabulary import SPECIALS
from hwsearch.testing.weights import seeded_weights

State = dict[str, torch.Tensor]
TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "good", "bad", "film", ".")
SUBWORDS = ("ha", "ne@@", "to", "ri@@", "lu", "mo")
ENCODER: dict[str, Any] = dict(head_size=64, layers=(1, 2), ffn=(64, 128))


# ---------------------------------------------------------------------- small networks of all families
def mobilenetv3(width: int = 16) -> Supernet:
    stages = (Stage(8, 2, "relu", False), Stage(width, 2, "h_swish", True))
    config = replace(ofa.ofa_mobilenetv3(1.0), stages=stages, stem_width=8, final_width=32, mix_width=32)
    return ElasticMobileNetV3(replace(config, resolutions=(24, 32), classes=3))


def proxylessnas() -> Supernet:
    stages = (Stage(8, 2, "relu6", False), Stage(24, 1, "relu6", False, depths=(1,)))
    config = replace(ofa.ofa_proxylessnas(1.3), stages=stages, stem_width=8, first_width=8, mix_width=32)
    return ElasticMobileNetV3(replace(config, resolutions=(24, 32), classes=3))


def resnet() -> Supernet:
    return ElasticResNet(ResNetConfig("ofa-resnet50d", 16, (32, 48), (1, 2), (1, 2), classes=3, resolutions=(24, 32)))


def attentive() -> Supernet:
    stages = (WideStage((8, 16), (1, 2), (1,), 1, False), WideStage((16, 24), (1, 2), (2, 3), 2, True))
    return AttentiveNAS(AttentiveNASConfig("attentivenas", (8, 16), stages, (32, 48), classes=3, resolutions=(24, 32)))


def transformer() -> Supernet:
    config = HatConfig(vocabulary=len(SPECIALS) + len(SUBWORDS), embeds=(16, 24), qkv=16, encoder_layers=3)
    return HatTransformer(replace(config, decoder_layers=(1, 2), ffns=(16, 32), heads=(2, 4), positions=16))


def text_encoder() -> Supernet:
    config = ElasticBertConfig(
        name="x", vocabulary=len(TOKENS), positions=16, tokens=16, hidden=128, heads=(1, 2), **ENCODER
    )
    return ElasticBert(config)


def image_encoder() -> Supernet:
    some = dict(hidden=192, heads=(1, 2, 3), patch=8, resolutions=(32,), classes=3, norm_eps=1e-12)
    return ElasticViT(ElasticViTConfig(name="x", **some, **ENCODER))


def resized(entry: SupernetEntry, build: Callable[[], Supernet]) -> SupernetEntry:
    return replace(entry, build=build, build_for=lambda state: build())


NETS: dict[str, Callable[[], Supernet]] = {
    "ofa-mobilenetv3-w1.0": mobilenetv3,
    "ofa-proxylessnas-w1.3": proxylessnas,
    "ofa-resnet50d": resnet,
    "attentivenas": attentive,
    "hat-wmt14-ende": transformer,
    "bert-base-sst2": text_encoder,
    "vit-b16": image_encoder,
}
ENTRIES = {
    e.name: e
    for e in (
        resized(ofa.W10, mobilenetv3),
        resized(ofa.PROXYLESS, proxylessnas),
        resized(ofa.RESNET50D, resnet),
        resized(attentivenas.ATTENTIVENAS, attentive),
        resized(hat.ENTRY, transformer),
        bert.ENTRY,
        vit.B16,
    )
}
every_family = pytest.mark.parametrize("name", NETS)


@pytest.fixture(scope="module")
def states() -> dict[str, State]:
    found = {}
    for name, build in NETS.items():
        net = build()
        net.load_state_dict(seeded_weights(net.state_dict()))
        found[name] = net.state_dict()
    return found


def written(state: State, path: Path) -> Path:
    """The file, in the format that its name says."""
    if path.suffix == ".safetensors":
        save_file({k: v.clone() for k, v in state.items()}, path)
    else:
        torch.save({"state_dict": state}, path)
    return path


@pytest.fixture(scope="module")
def plain_digest(states, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """The digest of a family's weights in a file that holds nothing else, read once."""

    @cache
    def plain_digest(name: str) -> str:
        path = tmp_path_factory.mktemp("plain") / "plain.pth"
        torch.save(states[name], path)
        return ENTRIES[name].load(path).digest

    return plain_digest


def refused(entry: SupernetEntry, path: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        entry.load(path)
    return str(caught.value)


# ---------------------------------------------------------------------- what loads
@every_family
@pytest.mark.parametrize("wrapper", [None, "state_dict", "model", "model_state_dict", "state_dict_ema", "ema"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_wrapped_weights_are_the_same(
    name: str, wrapper: str | None, prefix: str, states, plain_digest: Callable[[str], str], tmp_path: Path
) -> None:
    state = {prefix + k: v for k, v in states[name].items()}
    path = tmp_path / "w.pth"
    torch.save(state if wrapper is None else {wrapper: state, "epoch": 3}, path)
    loaded = ENTRIES[name].load(path)
    assert loaded.digest == plain_digest(name)
    for k, v in loaded.net.state_dict().items():
        assert torch.equal(v, states[name][k]), k


@every_family
def test_half_precision_and_missing_counters_load(name: str, states, tmp_path: Path) -> None:
    half = {k: v.half() if v.is_floating_point() else v for k, v in states[name].items()}
    loaded = ENTRIES[name].load(written({k: v for k, v in half.items() if "num_batches" not in k}, tmp_path / "w.pth"))
    for k, v in loaded.net.state_dict().items():
        assert v.dtype == states[name][k].dtype and torch.equal(v, half[k].to(v.dtype)), k


# ---------------------------------------------------------------------- what does not
@pytest.mark.parametrize(("name", "theirs"), permutations(NETS, 2))
def test_a_file_of_another_family_is_told(name: str, theirs: str, states, tmp_path: Path) -> None:
    words = refused(ENTRIES[name], written(states[theirs], tmp_path / "other.pth"))
    assert re.search("of another family|of another width or version|is expected", words)


@every_family
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.98])
def test_a_cut_file_is_told(name: str, suffix: str, share: float, states, tmp_path: Path) -> None:
    path = written(states[name], tmp_path / f"cut{suffix}")
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    words = refused(ENTRIES[name], path)
    assert repr(str(path)) in words and "truncated or not a weight file" in words


class Command:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.path}",)


@every_family
def test_code_in_a_pickle_is_refused_and_not_run(name: str, states, tmp_path: Path) -> None:
    mark, path = tmp_path / "ran", tmp_path / "trap.pth"
    torch.save({"state_dict": states[name], "extra": Command(mark)}, path)
    words = refused(ENTRIES[name], path)
    assert "could run code" in words and "safetensors" in words and repr(str(path)) in words
    assert not mark.exists()
    call, arguments = Command(mark).__reduce__()  # what an unsafe reader would do
    call(*arguments)
    assert mark.exists()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@every_family
def test_values_that_are_not_numbers_are_told(name: str, value: float, states, tmp_path: Path) -> None:
    state = {k: v.clone() for k, v in states[name].items()}
    key = max((k for k in state if "embed_tokens" not in k), key=lambda k: state[k].numel())
    state[key].view(-1)[-1] = value
    words = refused(ENTRIES[name], written(state, tmp_path / "w.pth"))
    assert key in words and "not numbers" in words


@every_family
def test_missing_unknown_and_misshapen_tensors_are_all_named(name: str, states, tmp_path: Path) -> None:
    state = {k: v.clone() for k, v in states[name].items()}
    weights = [k for k in state if state[k].ndim > 1 and "embed" not in k and "classifier" not in k]
    gone, bent = weights[-1], weights[-2]
    was = tuple(state.pop(gone).shape)
    assert was
    shape = tuple(state[bent].shape)
    state[bent] = state[bent][:-1]
    state["surplus.weight"] = torch.zeros(2)
    path = written(state, tmp_path / "w.pth")
    words = refused(ENTRIES[name], path)
    assert f"1 missing ({gone})" in words and "1 unknown (surplus.weight)" in words and repr(str(path)) in words
    assert f"{bent} is {tuple(state[bent].shape)}, expected {shape}" in words and words.endswith(
        "another width or version."
    )


def faults(state: State) -> list[tuple[str, torch.Tensor | None]]:
    """(name, what stands there instead) of some tensors: nothing, all in one column, or a row less."""
    names = [k for k in state if "num_batches" not in k and "embed" not in k and state[k].ndim]
    some = [*names[:: len(names) // 8], names[-1]]
    return [(k, v) for k in some for v in (None, state[k].flatten()[:, None], state[k][:-1])]


@every_family
def test_no_single_fault_passes(name: str, states, tmp_path: Path) -> None:
    found = faults(states[name])
    assert len(found) >= 24
    for key, other in found:
        rest = {k: v for k, v in states[name].items() if k != key}
        torch.save(rest if other is None else rest | {key: other}, tmp_path / "w.pth")
        assert key.rpartition(".")[0] in refused(ENTRIES[name], tmp_path / "w.pth")


@pytest.mark.parametrize("name", ["bert-base-sst2", "vit-b16"])
def test_a_number_in_place_of_the_classifier(name: str, states, tmp_path: Path) -> None:
    path = written(states[name] | {"classifier.weight": torch.tensor(1.0)}, tmp_path / "w.pth")
    assert "classifier.weight" in refused(ENTRIES[name], path)


def test_another_width_is_told(states, tmp_path: Path) -> None:
    path = written(mobilenetv3(width=24).state_dict(), tmp_path / "w.pth")
    words = refused(ENTRIES["ofa-mobilenetv3-w1.0"], path)
    assert "of another shape" in words and "expected (16," in words and "another width" in words


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (torch.zeros(3), "no named tensors"),
        ([torch.zeros(3)], "no named tensors"),
        ({}, "no named tensors"),
        ({"state_dict": {}}, "no named tensors"),
        ({"state_dict": {"a": 1}}, "no named tensors"),
    ],
)
@every_family
def test_a_file_without_weights_is_told(name: str, content: Any, words: str, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "w.pth")
    assert words in refused(ENTRIES[name], tmp_path / "w.pth")


@every_family
def test_no_file_no_weights(name: str, tmp_path: Path) -> None:
    assert "there is no weight file" in refused(ENTRIES[name], tmp_path / "nothing.pth")
    assert "there is no weight file" in refused(ENTRIES[name], tmp_path)
    with pytest.raises(CheckpointError, match="ships no weights"):
        ENTRIES[name].load()


@every_family
@pytest.mark.parametrize("text", [b"<html>404</html>", b"version https://git-lfs.github.com/spec/v1\noid sha256:1"])
def test_a_text_in_place_of_weights_is_told(name: str, text: bytes, tmp_path: Path) -> None:
    for file in ("w.pth", "w.safetensors"):
        (tmp_path / file).write_bytes(text)
        assert repr(str(tmp_path / file)) in refused(ENTRIES[name], tmp_path / file)


def test_an_empty_torch_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "w.pth").touch()
    assert "truncated or not a weight file" in refused(ENTRIES["attentivenas"], tmp_path / "w.pth")


# ---------------------------------------------------------------------- through the command
SETTINGS = """
[supernet]
name = "{name}"
checkpoint = "{checkpoint}"

[data]
{data}

[[device]]
name = "cpu"

[profile]
latency = 8
accuracy = 8
random = 2

[protocol]
processes = [2, 2]
loads = 1
visits = 2
block_ms = 0.1
warmup_ms = 1.0
block_runs = 1

[fleet]
isolation = false
"""


@pytest.fixture
def told(states, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Runs a campaign on a family with some data, which must fail; returns the one sentence on stderr."""

    def told(name: str, data: dict[str, Path | str], checkpoint: Path | None = None) -> str:
        monkeypatch.setattr(catalogue, "entry", ENTRIES.__getitem__)
        monkeypatch.setattr("hwsearch.campaigns.campaign.compute_threads", lambda: 1)
        monkeypatch.setattr("hwsearch.cli.render.err", Console(stderr=True, width=1000))
        suffix = ".safetensors" if name.startswith(("bert", "vit")) else ".pth"
        path = checkpoint or written(states[name], tmp_path / f"weights{suffix}")
        lines = "\n".join(f'{k} = "{v}"' for k, v in data.items())
        (tmp_path / "c.toml").write_text(SETTINGS.format(name=name, checkpoint=path, data=lines))
        folder = tmp_path / f"run-{name}"
        monkeypatch.setattr(sys, "argv", ["hwsearch", "run", str(tmp_path / "c.toml"), "--folder", str(folder)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as caught:
            main()
        said = capsys.readouterr()
        assert caught.value.code == 1 and not said.out and "Traceback" not in said.err
        return said.err[said.err.index("error:") :]

    return told


def image(path: Path, shade: int = 128) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(shade).integers(0, 255, (40, 40, 3)).astype(np.uint8)
    Image.fromarray(noise).save(path)
    return path


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    """Calibration, validation and test images of three classes."""
    splits = {s: tmp_path / "images" / s for s in ("calibration", "validation", "test")}
    for k, place in enumerate(splits.values()):
        for name in "abc":
            for i in range(5):
                image(place / name / f"{i}.jpg", 10 * k + i)
    return splits


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda path, state: path.write_bytes(path.read_bytes()[:900]), "is truncated or not a weight file"),
        (lambda path, state: torch.save({"state_dict": state, "x": Command(path)}, path), "could run code"),
        (
            lambda path, state: torch.save({k: v * np.nan for k, v in state.items()}, path),
            "values that are not numbers",
        ),
        (lambda path, state: torch.save({"a": torch.zeros(1)}, path), "It is a file of another family."),
        (lambda path, state: path.unlink(), "there is no weight file"),
    ],
)
def test_bad_weights_end_a_run(
    damage: Callable[[Path, State], Any], words: str, states, folders, told, tmp_path
) -> None:
    path = written(states["attentivenas"], tmp_path / "w.pth")
    damage(path, states["attentivenas"])
    said = told("attentivenas", folders, checkpoint=path)
    assert str(path) in said and words in said


# ---------------------------------------------------------------------- images
IMAGES = ("ofa-mobilenetv3-w1.0", "vit-b16")


@pytest.mark.parametrize("name", IMAGES)
@pytest.mark.parametrize("split", ["validation", "test"])
def test_fewer_class_folders_than_classes(name: str, split: str, folders, told) -> None:
    shutil.rmtree(folders[split] / "b")
    said = told(name, folders)
    first = split == "validation" and name == "vit-b16"  # no calibration data before it to tell the classes
    wanted = f"{folders[split]}: the {split} data" if first else f"'{folders[split]}' lacks the class folders b"
    assert wanted in said and (not first or "have 2 classes, the supernet 3" in said)
    assert ("A class folder is missing" if first else "Expected a folder for each of the 3 classes") in said


@pytest.mark.parametrize("name", IMAGES)
def test_a_class_folder_without_images(name: str, folders, told) -> None:
    for path in (folders["test"] / "c").iterdir():
        path.rename(path.with_suffix(".txt"))
    assert f"'{folders['test']}': no images in class folder 'c'" in told(name, folders)


@pytest.mark.parametrize("name", IMAGES)
@pytest.mark.parametrize("share", [0.0, 0.1, 0.7])
def test_a_cut_image_is_named(name: str, share: float, folders, told) -> None:
    path = folders["validation"] / "b" / "3.jpg"
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    said = told(name, folders)
    assert f"image '{path}' of 'validation' cannot be decoded" in said


def test_images_keep_their_names(folders) -> None:
    data = ImageTask().read(str(folders["test"]), limit=14)
    shown = [Path(n).read_bytes() for n in data.names]
    assert shown == list(data.images) and len(shown) == 14
    assert data.head(4).names == data.names[:4] and data.slice(3, 9).names == data.names[3:9]
    assert data.take(np.array([5, 2])).names == [data.names[5], data.names[2]]
    assert ImageData(data.images, data.labels, data.classes).head(3).names == ()


@pytest.mark.parametrize("name", IMAGES)
def test_no_folder_and_no_class_folders(name: str, folders, told, tmp_path: Path) -> None:
    assert "there is no folder" in told(name, folders | {"test": tmp_path / "nowhere"})
    assert "has no class folders" in told(name, folders | {"test": folders["test"] / "a"})


# ---------------------------------------------------------------------- text
def glue(place: Path) -> dict[str, Path]:
    place.mkdir(exist_ok=True)
    (place / "vocab.txt").write_text("\n".join(TOKENS) + "\n")
    for split in ("dev", "test"):
        rows = [f"{'good' if i % 2 else 'bad'} film .\t{i % 2}" for i in range(12 + (split == "test"))]
        (place / f"{split}.tsv").write_text("sentence\tlabel\n" + "\n".join(rows) + "\n")
    return {"validation": place / "dev.tsv", "test": place / "test.tsv"}


def test_a_text_that_is_not_utf8(told, tmp_path: Path) -> None:
    data = glue(tmp_path / "SST-2")
    data["test"].write_bytes(data["test"].read_bytes().replace(b"film", "filmé".encode("latin-1"), 1))
    said = told("bert-base-sst2", data)
    assert f"'{data['test']}' is not UTF-8 text" in said


def test_a_vocabulary_of_another_size(told, tmp_path: Path) -> None:
    data = glue(tmp_path / "SST-2")
    place = data["test"].with_name("vocab.txt")
    place.write_text(place.read_text() + "more\n")
    said = told("bert-base-sst2", data)
    assert str(data["validation"]) in said and "9" in said and "8" in said


def test_a_vocabulary_of_another_language(told, tmp_path: Path) -> None:
    data = glue(tmp_path / "SST-2")
    data["test"].with_name("vocab.txt").write_text("\n".join((*TOKENS[:4], "gut", "schlecht", "kino", "!")) + "\n")
    said = told("bert-base-sst2", data)
    assert f"of the tokens of '{data['validation']}' are unknown" in said and "vocabulary" in said


def test_a_vocabulary_that_is_none_of_bert(told, tmp_path: Path) -> None:
    data = glue(tmp_path / "SST-2")
    place = data["test"].with_name("vocab.txt")
    place.write_text("<s>\n</s>\n")
    said = told("bert-base-sst2", data)
    assert f"'{place}' lacks [PAD]" in said
    place.unlink()
    assert f"there is no vocabulary '{place}'" in told("bert-base-sst2", data)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text.replace("label", "stars"), "has columns sentence, stars"),
        (lambda text: text.replace("\t1\n", "\t7\n", 1), "label '7' is none of 2 classes"),
        (lambda text: text.replace("\t1\n", "\n", 1), "1 columns, expected 2"),
        (lambda text: "", "is empty"),
        (lambda text: "sentence\tlabel\n", "has no"),
    ],
)
def test_a_table_with_a_fault(change: Callable[[str], str], words: str, told, tmp_path: Path) -> None:
    data = glue(tmp_path / "SST-2")
    data["test"].write_text(change(data["test"].read_text()))
    said = told("bert-base-sst2", data)
    assert words in said and "test.tsv" in said


# ---------------------------------------------------------------------- translation
def pairs(place: Path) -> dict[str, Path]:
    place.mkdir(exist_ok=True)
    for language in ("en", "de"):
        (place / f"dict.{language}.txt").write_text("".join(f"{t} {9 - i}\n" for i, t in enumerate(SUBWORDS)))
        for split in ("valid", "test"):
            lines = [" ".join(SUBWORDS[i % 3 :]) for i in range(12 + (split == "test"))]
            (place / f"{split}.{language}").write_text("\n".join(lines) + "\n")
    return {"validation": place / "valid", "test": place / "test"}


def test_pairs_of_unequal_length(told, tmp_path: Path) -> None:
    data = pairs(tmp_path / "wmt")
    place = tmp_path / "wmt" / "test.de"
    place.write_text(place.read_text() + "to\n")
    said = told("hat-wmt14-ende", data)
    assert f"'{tmp_path}/wmt/test.en' has 13 lines, but '{place}' has 14" in said


def test_a_translation_that_is_not_utf8(told, tmp_path: Path) -> None:
    data = pairs(tmp_path / "wmt")
    place = tmp_path / "wmt" / "valid.de"
    place.write_bytes(b"\xff\xfe" + place.read_bytes())
    assert f"'{place}' is not UTF-8 text" in told("hat-wmt14-ende", data)


def test_a_dictionary_of_another_size(told, tmp_path: Path) -> None:
    data = pairs(tmp_path / "wmt")
    place = tmp_path / "wmt" / "dict.en.txt"
    place.write_text(place.read_text() + "more 1\n")
    said = told("hat-wmt14-ende", data)
    assert f"{data['validation']}: the dictionary of 'valid' has 11 tokens" in said and "embedding has 10" in said


def test_a_dictionary_of_another_text(told, tmp_path: Path) -> None:
    data = pairs(tmp_path / "wmt")
    (tmp_path / "wmt" / "dict.en.txt").write_text("".join(f"{t.upper()} 1\n" for t in SUBWORDS))
    said = told("hat-wmt14-ende", data)
    assert f"of the tokens of '{data['validation']}' are not in its dictionary" in said


def test_a_dictionary_that_is_none(told, tmp_path: Path) -> None:
    data = pairs(tmp_path / "wmt")
    place = tmp_path / "wmt" / "dict.en.txt"
    place.write_text("ha\nne\n")
    assert f"'{place}', line 1: 'ha' is not a token and its count" in told("hat-wmt14-ende", data)
    place.unlink()
    assert f"there is no file '{place}'" in told("hat-wmt14-ende", data)


def test_sentences_longer_than_the_table_of_positions(told, tmp_path: Path) -> None:
    data = pairs(tmp_path / "wmt")
    for language in ("en", "de"):
        place = tmp_path / "wmt" / f"test.{language}"
        place.write_text(place.read_text() + "to " * 40 + "\n")
    said = told("hat-wmt14-ende", data)
    assert f"{data['test']}: the longest source of 'test' has 41 tokens" in said and "16 positions" in said


# ---------------------------------------------------------------------- data of another kind
def test_data_of_another_kind(folders, told, tmp_path: Path) -> None:
    text = {k: str(v) for k, v in glue(tmp_path / "SST-2").items()}
    assert str(folders["validation"]) in told("bert-base-sst2", {k: folders[k] for k in ("validation", "test")})
    assert f"there is no folder '{text['test']}'" in told("vit-b16", folders | {"test": text["test"]})
    assert f"there is no file '{text['validation']}.en'" in told("hat-wmt14-ende", text)
    said = told("ofa-resnet50d", {"validation": folders["validation"], "test": folders["test"]})
    assert "ships no calibration data" in said and "Set data.calibration" in said
    words = told("vit-b16", folders | {"vocabulary": tmp_path / "SST-2" / "vocab.txt"})
    assert "images need no vocabulary" in words
