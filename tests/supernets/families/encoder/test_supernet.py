"""What both encoder families promise, on a small BERT and a small ViT; sizes against torch's own counters."""

from __future__ import annotations

import copy

import numpy as np
import onnxruntime
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from hwsearch.errors import CheckpointError, SpaceError, SupernetError
from hwsearch.spaces import Architecture, SearchSpace
from hwsearch.supernets.families.bert.config import ElasticBertConfig
from hwsearch.supernets.families.encoder.config import published_heads, scaled_choices
from hwsearch.supernets.families.encoder.supernet import ElasticEncoder


@pytest.fixture(params=["small_bert", "small_vit"])
def net(request: pytest.FixtureRequest) -> ElasticEncoder:
    return request.getfixturevalue(request.param)


def inputs_of(net: ElasticEncoder, arch: Architecture, batch: int, seed: int = 0) -> tuple[Tensor, ...]:
    """Random inputs; half of a sequence's tokens may be padding."""
    rng = np.random.default_rng(seed)
    (part,) = net.parts(arch, torch.nn.Identity())
    values = [torch.from_numpy(i.sample(batch, rng)) for i in part.inputs]
    if len(values) == 3:
        values[1][-1, values[1].shape[1] // 2 :] = 0
        values[2] = torch.from_numpy(rng.integers(0, 2, values[2].shape))
    return tuple(values)


def close(found: Tensor, expected: Tensor, tolerance: float = 1e-6) -> bool:
    assert float(expected.std()) > 1e-2
    return found.shape == expected.shape and float((found - expected).abs().max()) <= tolerance * max(
        1.0, float(expected.abs().max())
    )


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
@torch.no_grad()
def test_subnets_equal_the_activated_supernet(net: ElasticEncoder, seed: int) -> None:
    (arch,) = net.space.sample(1, np.random.default_rng(seed))
    x = inputs_of(net, arch, 3, seed)
    net.activate(arch)
    assert close(net.subnet(arch)(*x), net(*x))


@torch.no_grad()
def test_every_gene_matters(net: ElasticEncoder) -> None:
    largest = net.space.largest()
    x = inputs_of(net, largest, 2)
    fresh = net(*x)
    for name in net.space.names:
        if name == "r":
            continue
        choice = net.space.choices[net.space.names.index(name)]
        changed = net.space.architecture({**largest.to_dict(), name: choice.values[0]})
        net.activate(changed)
        assert not torch.allclose(net(*x), fresh, atol=1e-4), name
    net.activate(largest)
    assert torch.equal(net(*x), fresh)


@torch.no_grad()
def test_a_subnet_shares_nothing_with_its_supernet(net: ElasticEncoder) -> None:
    arch = net.space.largest()
    subnet = net.subnet(arch)
    mine = {v.untyped_storage().data_ptr() for v in subnet.state_dict().values()}
    theirs = {v.untyped_storage().data_ptr() for v in net.state_dict().values()}
    assert not mine & theirs
    assert len(mine) == len(subnet.state_dict())
    x = inputs_of(net, arch, 2)
    before = subnet(*x)
    for value in net.state_dict().values():
        value.zero_()
    assert torch.equal(subnet(*x), before) and float(before.std()) > 0
    assert not any(isinstance(m, ElasticEncoder) for m in subnet.modules())


class _Written(TorchDispatchMode):
    """Adds up the elements that convolutions and matrix products write."""

    PRODUCTS = ("addmm", "mm", "bmm", "baddbmm", "convolution")

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if func.overloadpacket.__name__ in self.PRODUCTS:
            self.total += out.numel()
        return out


@torch.no_grad()
def test_vectorised_costs_equal_those_of_torch(net: ElasticEncoder) -> None:
    rows = net.space.sample_array(12, np.random.default_rng(3))
    costs = net.cost_features(rows)
    for k, arch in enumerate(net.space.from_array(rows)):
        subnet, x = net.subnet(arch), inputs_of(net, arch, 1)
        counter, written = FlopCounterMode(display=False), _Written()
        with counter, written:
            subnet(*x)
        assert costs["macs"][k] == net.macs(arch) == counter.get_total_flops() / 2
        assert costs["params"][k] == net.params(arch) == sum(p.numel() for p in subnet.parameters())
        assert costs["activations"][k] == written.total
        assert costs["blocks"][k] == arch["layers"] == len(subnet.layers)


def test_cost_features_add_up(net: ElasticEncoder) -> None:
    rows = net.space.sample_array(10, np.random.default_rng(0))
    costs = net.cost_features(rows)
    rest = costs["macs"] - costs["macs_attention"] - costs["macs_ffn"]
    outer = net.outer_costs(net.tokens_array(rows))["macs"]
    assert np.array_equal(rest, outer) and outer.min() > 0
    assert np.allclose(costs["log_params"], np.log(net.params_array(rows)))
    values, names = net.features_array(rows)
    assert values.shape == (10, len(names)) and len(set(names)) == len(names)


def test_genes_of_missing_layers_do_not_count(net: ElasticEncoder) -> None:
    space = net.space
    base = space.smallest().to_dict()
    deep = {n: space.choices[i].values[1] for i, n in enumerate(space.names) if n not in base}
    assert len(deep) == 4 and space.architecture({**base, **deep}) == space.smallest()
    row = space.to_array([space.smallest()])
    other = row.copy()
    other[row < 0] = 1
    assert net.macs_array(other)[0] == net.macs_array(row)[0]
    assert net.params_array(other)[0] == net.params_array(row)[0]
    sides = 3 if "r" in space.names else 1
    assert space.cardinality == sides * (9**2 + 9**3 + 9**4)


@torch.no_grad()
def test_sorting_by_importance_keeps_the_full_net(net: ElasticEncoder) -> None:
    largest, smallest = net.space.largest(), net.space.smallest()
    x = inputs_of(net, largest, 4)
    before = copy.deepcopy(net)
    net.sort_channels()
    assert close(net(*x), before(*x), 1e-5)
    assert not torch.equal(net.encoder_layers[0]._part("query").weight, before.encoder_layers[0]._part("query").weight)
    for layer in net.encoder_layers:
        for writer, group in (("project", net.config.head_size), ("contract", 1)):
            columns = layer._part(writer).weight.abs().sum(0).view(-1, group).sum(1)
            assert (columns.diff() <= 0).all() and columns[0] > columns[-1]
    for other in (net, before):
        other.activate(smallest)
    assert not torch.allclose(net(*x), before(*x), atol=1e-3)
    again = copy.deepcopy(net.state_dict())
    net.sort_channels()
    assert all(torch.equal(again[k], v) for k, v in net.state_dict().items())


def test_a_subnet_keeps_the_mode_of_its_supernet(net: ElasticEncoder) -> None:
    arch = net.space.smallest()
    assert not any(m.training for m in net.subnet(arch).modules())
    assert all(m.training for m in net.train().subnet(arch).modules())


def test_gradients_reach_the_sliced_weights_alone(net: ElasticEncoder) -> None:
    arch = net.space.smallest()
    net.activate(arch)
    net(*inputs_of(net, arch, 2)).square().sum().backward()
    first, last = net.encoder_layers[0], net.encoder_layers[-1]
    width = arch.integer("heads[0]") * net.config.head_size
    grad = first._part("query").weight.grad
    assert grad is not None and float(grad[:width].abs().min(1).values.max()) > 0 and not grad[width:].any()
    assert last._part("query").weight.grad is None


def test_architectures_of_another_space_are_refused(net: ElasticEncoder) -> None:
    other = SearchSpace("other", net.space.choices).smallest()
    for use in (net.activate, net.subnet, net.macs):
        with pytest.raises(SpaceError, match="'other', not"):
            use(other)


@torch.no_grad()
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning")
def test_exported_parts_equal_torch_at_other_sizes(net: ElasticEncoder, tmp_path) -> None:
    (arch,) = net.space.sample(1, np.random.default_rng(8))
    (part,) = net.parts(arch, net.subnet(arch))
    path = tmp_path / "net.onnx"
    axes = {i.name: i.dynamic_axes() for i in part.inputs}
    axes |= dict(zip(part.outputs, part.output_axes or ({0: "batch"},), strict=True))
    torch.onnx.export(
        part.net,
        inputs_of(net, arch, 2),
        str(path),
        dynamo=False,
        opset_version=17,
        input_names=[i.name for i in part.inputs],
        output_names=list(part.outputs),
        dynamic_axes=axes,
    )
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for batch, tokens in ((1, 20), (3, 7), (5, 12)):
        x = inputs_of(net, arch, batch, seed=batch)
        if len(x) == 3:
            x = tuple(v[:, :tokens] for v in x)
        feed = {i.name: v.numpy() for i, v in zip(part.inputs, x, strict=True)}
        (found,) = session.run(list(part.outputs), feed)
        assert close(torch.from_numpy(found), part.net(*x), 1e-5)


@pytest.mark.parametrize(
    ("heads", "ffn", "some_heads", "some_units"),
    [
        (12, 3072, (6, 8, 10, 12), (1024, 2048, 3072)),
        (16, 4096, (8, 11, 13, 16), (1344, 2752, 4096)),
        (2, 512, (1, 2), (192, 320, 512)),
    ],
)
def test_choices_scale_with_the_network(
    heads: int, ffn: int, some_heads: tuple[int, ...], some_units: tuple[int, ...]
) -> None:
    assert scaled_choices(heads, ffn) == (some_heads, some_units)


def test_unknown_shapes_are_refused() -> None:
    with pytest.raises(CheckpointError, match=r"width 100, for which.*\n?.*128"):
        published_heads(100, {128: 2})
    for wrong in ((4, 2), (2, 2), (0, 2), ()):
        with pytest.raises(SupernetError, match="'x': heads"):
            ElasticBertConfig(name="x", heads=wrong)
