"""The verb `prune` on a declared network of a user's own file and a folder of images: files, limits, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image

import hwsearch
from hwsearch.api import pruning
from hwsearch.campaigns.starting import starting_subnet
from hwsearch.errors import CampaignError, ConfigError, LimitError, OutputError, SupernetError, TrainingError
from hwsearch.supernets import catalogue
from hwsearch.supernets.checkpoint import digest, save_weights
from tests.training.gated import SIDE, half_images, halves

NETWORK = """
from hwsearch.supernets import SupernetEntry
from hwsearch.supernets.declared import elastic
from hwsearch.tasks.images import ImageTask, Preprocess
from tests.training.gated import DECLARED, SIDE, Small

TASK = ImageTask(Preprocess((0.4,) * 3, (0.25,) * 3))
ENTRY = SupernetEntry(
    "small-gated", "a small one", lambda: elastic(Small(), DECLARED, input_shape=(3, SIDE, SIDE), name="small-gated"), task=TASK
)
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``net.py``, and ``images`` of four classes."""
    folder = tmp_path_factory.mktemp("prune")
    (folder / "net.py").write_text(NETWORK)
    for split, n, seed in (("train", 120, 0), ("test", 60, 1)):
        for i, (pixels, label) in enumerate(zip(*halves(n, seed), strict=True)):
            (folder / "images" / split / "abcd"[int(label)]).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(folder / "images" / split / "abcd"[int(label)] / f"{i}.png")
    return folder


def prune(place: Path, folder: Path, limit: str = "macs<=60 %", **more):
    given = {"steps": 30, "batch": 24, "lr": 0.05, "padding": 0, **more}
    return hwsearch.prune(f"{place}/net.py:ENTRY", place / "images", folder, limit, **given)


@pytest.fixture(scope="module")
def pruned(place: Path, tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("out") / "new"
    shown = []
    return prune(place, folder, progress=shown.append), folder, shown


def test_the_card_tells_the_limit_and_the_gates(place: Path, pruned) -> None:
    card, folder, shown = pruned
    net = catalogue.entry(f"{place}/net.py:ENTRY").build()
    told = card["pruning"]
    arch = net.space.architecture(card["architecture"]["genes"])
    assert told["cost"] == net.macs(arch) == card["macs"] <= told["limit"]
    assert told["limit"] == pytest.approx(0.6 * net.macs(net.space.largest()))
    assert told["passes"] == told["steps"] == 30 == shown[-1]["step"] and told["operator_table"] is None
    assert 0 <= told["disagreement"] <= 0.25 and told["strategy"]["part"] == "Consensus"
    assert json.loads((folder / "pruned.json").read_text()).items() <= card.items()
    assert starting_subnet(folder / "pruned.json", net.space) == arch


def test_the_weights_load_and_the_model_is_the_subnet(place: Path, pruned) -> None:
    card, folder, _ = pruned
    loaded = catalogue.entry(f"{place}/net.py:ENTRY").load(folder / "pruned.safetensors")
    arch = loaded.net.space.architecture(card["architecture"]["genes"])
    net = loaded.net.subnet(arch)
    train = half_images(120, 0)
    images, _ = next(train.batches(SIDE, 16))
    session = onnxruntime.InferenceSession(str(folder / "pruned.onnx"), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {session.get_inputs()[0].name: images.numpy()})
    recalibrated = card["difference_from_torch"]
    assert recalibrated <= 1e-5 and found.shape == (16, 4)
    task = loaded.task
    order = task.read(str(place / "images" / "train"), limit=1000)
    from hwsearch.accuracy import recalibrate

    recalibrate(net, order.take(np.random.default_rng(0).permutation(len(order))[:1000]), SIDE)
    with torch.no_grad():
        expected = net.eval()(images)
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-4, atol=1e-5)


def test_the_same_call_goes_on_after_ctrl_c(place: Path, pruned, tmp_path: Path) -> None:
    def stop(status) -> None:
        if status["step"] == 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prune(place, tmp_path, progress=stop)
    assert not (tmp_path / "pruned.json").exists()
    again = prune(place, tmp_path)
    timed = ("seconds",)
    same = lambda card: {k: v for k, v in card["pruning"].items() if k not in timed}  # noqa: E731
    assert same(again) == same(pruned[0]) and again["supernet"] == pruned[0]["supernet"]
    with pytest.raises(TrainingError, match="holds a run with other settings"):
        prune(place, tmp_path, lr=0.01)


def test_files_of_others_are_kept(place: Path, tmp_path: Path) -> None:
    (tmp_path / "pruned.json").write_text("mine")
    with pytest.raises(OutputError, match=r"pruned\.json.* exists"):
        prune(place, tmp_path)
    assert list(tmp_path.iterdir()) == [tmp_path / "pruned.json"]


def test_the_weights_to_start_from_are_not_replaced(place: Path, tmp_path: Path, monkeypatch) -> None:
    net = catalogue.entry(f"{place}/net.py:ENTRY").build()
    weights = tmp_path / "pruned.safetensors"
    save_weights(net, weights, {"digest": digest(net)})
    before = weights.read_bytes()
    with pytest.raises(OutputError, match="is read for what would replace it"):
        prune(place, tmp_path, checkpoint=weights)
    recipe = tmp_path / "r.toml"
    recipe.write_text(f'supernet = "{place}/net.py:ENTRY"\n[[stage]]\n[stage.training]\nsteps = 2\nbatch = 8\n')
    weights = weights.rename(tmp_path / "small-gated.safetensors")
    with pytest.raises(OutputError, match="is read for what would replace it"):
        hwsearch.train(recipe, place / "images", tmp_path, checkpoint=weights)
    assert weights.read_bytes() == before


@pytest.mark.parametrize(
    ("limit", "more", "error", "why"),
    [
        (None, {}, LimitError, "None is not a limit"),
        ("macs<=60 %", {"polarization": "x"}, TrainingError, "polarization='x' is not valid"),
        ("macs<=1 %", {}, LimitError, "no gates meet macs .* it is"),
        ("macs<=100 %", {}, LimitError, "nothing is to be pruned"),
        ("macs<=0", {}, LimitError, "not above 0"),
        ("macs>=5", {}, LimitError, "no upper limit that gates can meet"),
        ("accuracy>=80", {}, LimitError, "no upper limit that gates can meet"),
        ("latency_ms<=2", {}, CampaignError, "needs a campaign"),
        ("macs<=60 %", {"device": "cpu"}, ConfigError, "the limit is on macs, which has none"),
    ],
)
def test_limits_that_cannot_be_met_are_refused_before_training(
    place: Path, tmp_path: Path, limit: str, more: dict, error: type[Exception], why: str
) -> None:
    with pytest.raises(error, match=why):
        prune(place, tmp_path / "new", limit, **more)
    assert not (tmp_path / "new" / "training" / "training.pt").exists()


def test_families_without_gates_are_refused(place: Path, tmp_path: Path) -> None:
    with pytest.raises(SupernetError, match=r"has no places for gates.*Depth and Width"):
        hwsearch.prune("cifar10-mbv3", place / "images", tmp_path, "macs<=60 %", steps=2, batch=8)


def test_a_latency_is_that_of_the_operator_table(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in campaign, whose table says 2 ms for a MAC of the largest network."""
    net = catalogue.entry(f"{place}/net.py:ENTRY").build()
    largest = net.macs(net.space.largest())

    class Cost(SimpleNamespace):
        def __call__(self, rows):
            return 2 * net.macs_array(rows) / largest

    campaign = SimpleNamespace(space=net.space, target=lambda name: SimpleNamespace(name="box", fingerprint="f"))
    monkeypatch.setattr(pruning.Campaign, "open", lambda *_, **__: campaign)
    cost = Cost(summed=30, wholes=9, offset_ms=0.0, slope=1.0, error_pct=1.5)
    monkeypatch.setattr(pruning, "operator_cost", lambda *_: cost)
    card = prune(place, tmp_path, "latency_ms<=1200 us", campaign="runs/my")
    told = card["pruning"]
    assert told["limit"] == pytest.approx(1.2) and told["largest"] == pytest.approx(2)
    assert told["cost"] == pytest.approx(2 * card["macs"] / largest) and told["cost"] <= 1.2
    assert told["operator_table"]["device"] == "box" and told["operator_table"]["error_pct"] == 1.5
    other = SimpleNamespace(space=SimpleNamespace(name="other"), target=campaign.target)
    monkeypatch.setattr(pruning.Campaign, "open", lambda *_, **__: other)
    with pytest.raises(CampaignError, match="is on search space 'other'"):
        prune(place, tmp_path, "latency_ms<=1.2", campaign="runs/my")
