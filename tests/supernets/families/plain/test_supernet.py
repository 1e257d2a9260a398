"""Plain ResNets and MobileNetV2: names, shapes and outputs of torchvision 0.28.0, published sizes, and their entries."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from hwsearch.errors import CheckpointError
from hwsearch.supernets.checkpoint.loading import Uninitialised, load_weights
from hwsearch.supernets.checkpoint.reading import read_state
from hwsearch.supernets.checkpoint.writing import save_weights
from hwsearch.supernets.entry import SupernetEntry
from hwsearch.supernets.families import plain

#: tensors of the state dict, first 16 digits of the SHA-256 of its lines "name shape", parameters: all of torchvision
#: 0.28.0; and multiply-accumulates for one image of 224×224 as the papers and torchvision's model cards give them (10⁹)
TORCHVISION: dict[str, tuple[Callable[..., nn.Module], int, str, int, float]] = {
    "resnet18": (plain.resnet18, 122, "84fb10d9c6905a1c", 11_689_512, 1.814),
    "resnet34": (plain.resnet34, 218, "28f9096d51307499", 21_797_672, 3.664),
    "resnet50": (plain.resnet50, 320, "d7e4f8bb0a536344", 25_557_032, 4.089),
    "resnet101": (plain.resnet101, 626, "02c0f34f4842751f", 44_549_160, 7.801),
    "resnet152": (plain.resnet152, 932, "685c66205bc823aa", 60_192_808, 11.514),
    "mobilenet_v2": (plain.MobileNetV2, 314, "37bbbce8932fd0c4", 3_504_872, 0.301),
}
lowering = import_module("hwsearch.exporters.onnx.lower")
ENTRIES = {"resnet18": plain.RESNET18, "resnet50": plain.RESNET50, "mobilenet-v2": plain.MOBILENET_V2}


@pytest.mark.parametrize("name", TORCHVISION)
def test_names_shapes_and_sizes_are_those_of_torchvision(name: str) -> None:
    build, tensors, digest, params, billions = TORCHVISION[name]
    with torch.device("meta"):
        net = build().eval()
    state = net.state_dict()
    text = "\n".join(f"{k} {tuple(v.shape)}" for k, v in state.items())
    assert len(state) == tensors and hashlib.sha256(text.encode()).hexdigest()[:16] == digest
    assert sum(p.numel() for p in net.parameters()) == params
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        net(torch.zeros(1, 3, 224, 224, device="meta"))
    assert round(counter.get_total_flops() / 2e9, 3) == billions


def waves(net: nn.Module) -> nn.Module:
    """Weights, norms and statistics that follow from their names alone."""
    for name, value in net.state_dict().items():
        if value.is_floating_point():
            place = len(name) + sum(map(ord, name)) % 97
            x = torch.sin(torch.arange(value.numel(), dtype=torch.float64) * 1.7 + place)
            if name.endswith("running_var"):
                x = 1 + 0.3 * x
            elif value.ndim > 1:
                x = x * (3 / value[0].numel()) ** 0.5
            else:
                x = 1 + 0.3 * x if name.endswith("weight") else 0.1 * x
            value.copy_(x.view(value.shape))
    return net.eval()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("resnet18", [-0.94909, 1.800789, -2.480299, 3.19169]),
        ("resnet34", [-0.415258, 1.949222, -3.306262, 4.668837]),
        ("resnet50", [-3.723642, -14.952871, -18.969896, -13.801447]),
        ("mobilenet_v2", [1.363396, 6.07693, -6.563294, -0.43488]),
    ],
)
def test_outputs_are_those_of_torchvision(name: str, expected: list[float]) -> None:
    """The first logits that torchvision 0.28.0's class gives with the same weights and the same 64×64 input."""
    net = waves(TORCHVISION[name][0]())
    x = torch.sin(torch.arange(3 * 64 * 64, dtype=torch.float64) * 0.37).view(1, 3, 64, 64).float()
    with torch.no_grad():
        torch.testing.assert_close(net(x)[0, :4], torch.tensor(expected), rtol=2e-4, atol=2e-4)


# ---------------------------------------------------------------------- the entries
@pytest.fixture(scope="module", params=ENTRIES)
def entry(request: pytest.FixtureRequest) -> SupernetEntry:
    return ENTRIES[request.param]


@pytest.fixture(scope="module")
def net(entry: SupernetEntry, randomise: Callable[..., None]) -> plain.PlainSupernet:
    net = entry.build()
    assert isinstance(net, plain.PlainSupernet)
    randomise(net)
    return net.eval()


def test_the_largest_subnet_has_the_published_size(entry: SupernetEntry, net: plain.PlainSupernet) -> None:
    _, _, _, params, billions = TORCHVISION[entry.name.replace("-", "_")]
    largest = net.space.largest()
    assert largest["r"] == 224 and net.params(largest) == params
    assert round(net.macs(largest) / 1e9, 3) == billions
    assert net.macs(net.space.smallest()) < 0.12 * net.macs(largest)
    card = entry.full_card()
    assert card["classes"] == 1000 and card["params_largest"] == params and "fine-tuning" in card["note"]


def test_stages_vary_in_depth_and_blocks_in_width(net: plain.PlainSupernet, entry: SupernetEntry) -> None:
    values = {c.name: c.values for c in net.space.choices}
    depths = [v for k, v in values.items() if k.startswith("depth")]
    expected = {
        "resnet18": [(1, 2)] * 4,
        "resnet50": [(1, 2, 3), (2, 3, 4), (4, 5, 6), (1, 2, 3)],
        "mobilenet-v2": [(1, 2), (1, 2, 3), (1, 2, 3, 4), (1, 2, 3), (1, 2, 3)],
    }
    assert depths == expected[entry.name]
    assert (
        len([k for k in values if k.startswith("width")])
        == {"resnet18": 8, "resnet50": 32, "mobilenet-v2": 16}[entry.name]
    )


def test_costs_of_twenty_thousand_rows_equal_torchs_on_some(net: plain.PlainSupernet) -> None:
    rows = net.space.sample_array(20_000, np.random.default_rng(0))
    macs, params = net.macs_array(rows), net.params_array(rows)
    for k, arch in enumerate(net.space.from_array(rows[:3])):
        subnet = net.subnet(arch)
        assert params[k] == sum(p.numel() for p in subnet.parameters())
        counter = FlopCounterMode(display=False)
        with counter, torch.no_grad():
            subnet.to("meta")(torch.zeros(1, *net.input_shape(arch), device="meta"))
        assert macs[k] == counter.get_total_flops() // 2


def test_subnets_are_lowered_without_the_slow_exporter(
    net: plain.PlainSupernet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lowering, "torch_export", lambda *a, **k: pytest.fail("an operation has no rule"))
    for arch in (net.space.smallest(), *net.space.sample(1, np.random.default_rng(4))):
        subnet, shape = net.subnet(arch), net.input_shape(arch)
        x = torch.randn(1, *shape, generator=torch.Generator().manual_seed(0))
        session = onnxruntime.InferenceSession(
            lowering.lower(subnet, shape).SerializeToString(), providers=["CPUExecutionProvider"]
        )
        (found,) = session.run(None, {"image": x.numpy()})
        with torch.no_grad():
            expected = subnet(x).numpy()
        assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()


def plain_state(name: str, classes: int, randomise: Callable[..., None]) -> tuple[nn.Module, dict[str, Tensor]]:
    model = TORCHVISION[name.replace("-", "_")][0](classes).eval()
    randomise(model, seed=3)
    return model, {k: v for k, v in model.state_dict().items() if not k.endswith("num_batches_tracked")}


def load(entry: SupernetEntry, state: dict[str, Tensor]) -> plain.PlainSupernet:
    assert entry.build_for is not None
    with Uninitialised():
        net = entry.build_for(state)
    assert isinstance(net, plain.PlainSupernet)
    load_weights(net, state, "a test")
    net.after_loading()
    return net.eval()


READERS = {"resnet18": "layer3.1.conv2", "resnet50": "layer3.2.conv3", "mobilenet-v2": "features.9.conv.2"}


def test_a_plain_file_loads_with_its_classes_and_is_sorted(
    entry: SupernetEntry, tmp_path: Path, randomise: Callable[..., None]
) -> None:
    """The file gives the same outputs; sorted channels stay where they are when the supernet's own file is loaded."""
    model, state = plain_state(entry.name, 10, randomise)
    net = load(entry, state)
    assert net.classes == 10
    x = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected, found = model(x), net(x)
    assert float((found - expected).abs().max()) <= 1e-4 * float(expected.abs().max())
    reader = f"{READERS[entry.name]}.weight"
    before, after = (s[reader].abs().double().sum((0, 2, 3)) for s in (state, net.state_dict()))
    assert bool((after.diff() <= 0).all()) and not bool((before.diff() <= 0).all())
    half = len(after) // 2
    assert float(after[:half].sum()) > float(before[:half].sum())
    with torch.no_grad():  # as after training: no longer in order
        for parameter in net.parameters():
            parameter.copy_(parameter.flip(min(1, parameter.ndim - 1)))
    save_weights(net, tmp_path / "own.safetensors", {})
    again = load(entry, read_state(tmp_path / "own.safetensors"))
    found = again.state_dict()
    assert all(torch.equal(v, found[k]) for k, v in net.state_dict().items() if "num_batches" not in k)


def test_a_file_without_the_classifier_is_refused(entry: SupernetEntry) -> None:
    assert entry.build_for is not None
    with pytest.raises(CheckpointError, match="from which the number of classes is read"):
        entry.build_for({"conv1.weight": torch.zeros(1)})


def test_a_file_of_another_network_is_refused(randomise: Callable[..., None]) -> None:
    _, state = plain_state("resnet34", 10, randomise)
    with pytest.raises(CheckpointError, match=r"does not fit PlainSupernet: tensors .* unknown"):
        load(plain.RESNET18, state)
