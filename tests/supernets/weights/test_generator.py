"""Hypernetworks against values by hand, finite differences, and the proportionality that MIP takes away."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from hwsearch.supernets.weights.generator import (
    AXES,
    GeneratorCard,
    GeneratorError,
    GeneratorSettings,
    Hypernetwork,
    encode,
    norm_correlation,
)

PLAIN = {"encoding": "raw", "residual": False}


def settings(**given) -> GeneratorSettings:
    return GeneratorSettings(**{"mode": "full", "hidden": 8, "chunk": 16, "embedding": 4, **given})


def conditions(n: int, d: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(n, d, generator=torch.Generator().manual_seed(seed))


def test_the_encoding_is_that_of_the_paper_by_hand() -> None:
    found = encode(torch.tensor([0.0, 1 / 3, 0.5, 1.0], dtype=torch.float64))
    half = math.sqrt(0.5)
    expected = [1, math.sqrt(3) / 2, half, 0, 0, 0.5, half, 1]  # cosines of 0, 30, 45 and 90 degrees, then sines
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))
    norms = encode(conditions(200, 5).double()).norm(dim=1)
    torch.testing.assert_close(norms, torch.full((200,), math.sqrt(5), dtype=torch.float64))
    assert torch.equal(encode(torch.tensor([0.2, 1.0]), "raw"), torch.tensor([0.2, 1.0]))


@pytest.mark.parametrize("value", [-1e-6, 1.000001, math.nan, math.inf])
@pytest.mark.parametrize("encoding", ["constant-norm", "raw"])
def test_a_condition_outside_its_range_is_refused(value: float, encoding: str) -> None:
    net = Hypernetwork(2, [3], settings(encoding=encoding))
    with pytest.raises(GeneratorError, match=f"a condition of a generator has {value:g}"):
        net(torch.tensor([0.5, value]))


@pytest.mark.parametrize("mode", ["full", "chunk", "layer"])
def test_weights_are_those_of_a_network_written_out(mode: str) -> None:
    net = Hypernetwork(2, [5, 20, 3], settings(mode=mode), seed=3)
    with torch.no_grad():
        for p in net.parameters():
            p.normal_(generator=torch.Generator().manual_seed(p.numel()))
    c = torch.tensor([0.25, 1.0])
    e = torch.tensor([math.cos(math.pi / 8), 0.0, math.sin(math.pi / 8), 1.0])
    p = dict(net.named_parameters())

    def mlp(x: torch.Tensor) -> torch.Tensor:
        for k in (0, 2):
            x = F.leaky_relu(p[f"body.{k}.weight"] @ x + p[f"body.{k}.bias"], 0.01)
        return p["head.weight"] @ x + p.get("head.bias", 0.0)

    if mode == "full":
        expected = mlp(e)
    elif mode == "chunk":  # 28 weights are two chunks of 16
        expected = torch.cat([mlp(torch.cat([e, row])) for row in p["embeddings"]])[:28] * math.sqrt(16 / 28)
    else:
        rows = [mlp(torch.cat([e, row])) for row in p["embeddings"]]
        expected = torch.cat([rows[0][:5], rows[1], rows[2][:3]]) * math.sqrt(20 / 28)
    torch.testing.assert_close(net(c), expected)


@pytest.mark.parametrize("mode", ["full", "chunk", "layer"])
@pytest.mark.parametrize("layer_norm", [False, True])
def test_gradients_are_those_of_finite_differences(mode: str, layer_norm: bool) -> None:
    net = Hypernetwork(2, [4, 9], settings(mode=mode, hidden=3, chunk=5, layer_norm=layer_norm), seed=1).double()
    names, values = zip(*net.named_parameters(), strict=True)

    def outputs(*parameters: torch.Tensor) -> torch.Tensor:
        made = torch.func.functional_call(
            net, dict(zip(names, parameters, strict=True)), torch.tensor([0.3, 0.8]).double()
        )
        return made.pow(2)

    assert torch.autograd.gradcheck(outputs, values)


def test_the_plain_form_is_proportional_to_its_condition_and_mip_is_not() -> None:
    c = conditions(1, 6)[0]
    plain, mip = Hypernetwork(6, [50], settings(**PLAIN)), Hypernetwork(6, [50], settings())
    for s in (0.5, 0.1):
        torch.testing.assert_close(plain(s * c), s * plain(c), rtol=1e-5, atol=1e-7)
        assert mip(s * c).norm().item() > (s + 0.2) * mip(c).norm().item()


def mean_correlation(arm: dict[str, object], inits: int = 80, n: int = 40) -> float:
    """Mean over first weights of the correlation of ‖θ‖ with ‖c‖; θ0 has the spread of a layer of torch."""
    found = []
    for seed in range(inits):
        made = Hypernetwork(6, [400], settings(hidden=256, **arm), seed)
        theta0 = torch.randn(400, generator=torch.Generator().manual_seed(seed)) * 0.1 * made.settings.residual
        cs = conditions(n, 6, 1000 + seed)
        with torch.no_grad():
            norms = torch.stack([(theta0 + made(c)).norm() for c in cs])
        found.append(norm_correlation(norms, cs))
    return float(np.mean(found))


def test_the_norm_of_the_weights_follows_the_condition_without_mip_only() -> None:
    assert mean_correlation(PLAIN, inits=10) >= 0.9
    assert abs(mean_correlation({})) <= 0.1


def test_correlations_are_those_of_numpy_by_hand() -> None:
    assert norm_correlation(
        torch.tensor([1.0, 2.0, 3.0]), torch.tensor([[3.0, 4.0], [0.0, 10.0], [9.0, 12.0]])
    ) == pytest.approx(1)
    x, c = torch.tensor([1.0, 5.0, 2.0, 0.0]), conditions(4, 3)
    expected = np.corrcoef(x.numpy(), np.linalg.norm(c.double().numpy(), axis=1))[0, 1]
    assert norm_correlation(x, c) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        # two hidden layers of 8 units; encoded conditions have 4 numbers, raw ones 2; 37 weights in tensors of 30 and 7
        ({}, (4 * 8 + 8) + (8 * 8 + 8) + 8 * 37),  # θ0 is the last bias
        ({"residual": False}, (4 * 8 + 8) + (8 * 8 + 8) + 8 * 37 + 37),
        (PLAIN | {"layers": 1}, (2 * 8 + 8) + 8 * 37 + 37),
        ({"mode": "chunk"}, 3 * 4 + (8 * 8 + 8) + (8 * 8 + 8) + 8 * 16 + 16),  # three chunks of 16
        ({"mode": "layer"}, 2 * 4 + (8 * 8 + 8) + (8 * 8 + 8) + 8 * 30 + 30),
        ({"mode": "layer", "layer_norm": True}, 2 * 4 + (8 * 8 + 8 + 16) + (8 * 8 + 8 + 16) + 8 * 30 + 30),
    ],
)
def test_parameters_are_counted_by_hand(given: dict[str, object], expected: int) -> None:
    net = Hypernetwork(2, [30, 7], settings(**given))
    assert sum(p.numel() for p in net.parameters()) == expected
    assert net(torch.tensor([0.1, 0.9])).shape == (37,)


@pytest.mark.parametrize("mode", ["full", "chunk", "layer"])
def test_first_weights_are_kaimings_over_the_fan_out(mode: str) -> None:
    net = Hypernetwork(4, [3000, 2000], settings(mode=mode, hidden=64, chunk=1000), seed=5)
    for layer in (net.body[0], net.body[2], net.head):
        expected = torch.nn.init.kaiming_normal_(torch.empty(2000, layer.out_features), 0.01, "fan_in").std()
        assert layer.weight.std().item() == pytest.approx(float(expected), rel=0.1)
        assert layer.bias is None or not layer.bias.any()
    other = Hypernetwork(4, [3000, 2000], settings(mode=mode, hidden=64, chunk=1000), seed=6)
    assert not torch.equal(net.head.weight, other.head.weight)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"mode": "half"}, "mode='half' is not valid"),
        ({"encoding": "sine"}, "encoding='sine' is not valid"),
        ({"hidden": 0}, "hidden=0 is not valid"),
        ({"chunk": 2.5}, r"chunk=2.5 is not valid"),
        ({"residual": 1}, "residual=1 is not valid"),
        ({"norms": True, "residual": False}, "norms are generated as a residual only"),
    ],
)
def test_settings_that_are_not_valid_are_refused(given: dict[str, object], said: str) -> None:
    with pytest.raises(GeneratorError, match=said):
        GeneratorSettings(**given)


def test_a_card_survives_json_and_has_the_five_axes() -> None:
    card = GeneratorCard(settings(mode="layer"), {"a": 1.0, "b": 4.0}, {"a": [0.5, 1.0], "b": [2.0, 4.0]}, 37, 10, 47)
    data = card.to_dict()
    assert len(AXES) == 5 and all(isinstance(data[axis], str) and data[axis] for axis in AXES)
    assert data["outputs"].startswith("layer-wise") and data["settings"]["mode"] == "layer"
    assert GeneratorCard.from_dict(data, "x") == card
    for wrong in (
        {},
        data | {"trained": {"a": [1.0]}},
        data | {"settings": {"mode": "layer"}},
        data | {"generated": "x"},
    ):
        with pytest.raises(GeneratorError, match=r"^x: the card of its generator cannot be read"):
            GeneratorCard.from_dict(wrong, "x")


def test_a_generator_of_nothing_is_refused() -> None:
    for inputs, sizes in ((0, [3]), (2, [])):
        with pytest.raises(GeneratorError, match="has nothing to do"):
            Hypernetwork(inputs, sizes, settings())
