"""Networks of torch modules on a device."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from hwsearch.devices import Device, Model, Workload, create_runtime
from hwsearch.devices.runtimes.torch_network import compile_isolated, intra_op_threads
from hwsearch.errors import DeviceError, MeasurementError
from hwsearch.tasks.inputs import Input, image

SHAPE = (3, 8, 8)


class Watch(nn.Module):
    """Notes what holds while it runs."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3, 1, 1))
        self.seen = []

    def __deepcopy__(self, memo):
        copy = Watch()
        copy.seen = self.seen
        return copy

    def forward(self, x):
        self.seen.append((torch.get_num_threads(), torch.is_inference_mode_enabled(), self.training, x.dtype, x.shape))
        return x * self.weight


def work(*modules, inputs=None):
    return Workload(tuple(Model(inputs or image(SHAPE), module=m, runs=r) for m, r in modules))


def test_threads_are_given_back_after_an_error():
    before = torch.get_num_threads()
    with pytest.raises(KeyError), intra_op_threads(before + 1):
        raise KeyError
    assert torch.get_num_threads() == before


def test_parts_run_in_order_each_its_number_of_times():
    calls = []

    class Named(nn.Module):
        def __init__(self, name):
            super().__init__()
            self.name = name

        def forward(self, x):
            calls.append(self.name)
            return x

    session = create_runtime(Device("d", "torch-cpu")).load(work((Named("encoder"), 1), (Named("decoder"), 3)))
    calls.clear()
    session.time(2)
    assert calls == ["encoder", "decoder", "decoder", "decoder"] * 2


def test_integer_inputs_keep_their_kind_and_mappings_are_outputs():
    class Embed(nn.Module):
        def __init__(self):
            super().__init__()
            self.table = nn.Embedding(10, 4)

        def forward(self, tokens):
            return {"hidden": self.table(tokens), "bad": tokens / 0}

    workload = work((Embed(), 1), inputs=(Input("tokens", (5,), high=10, low=1),))
    with pytest.raises(MeasurementError, match="output 'bad' is NaN or infinite"):
        create_runtime(Device("d", "torch-cpu", precision="bf16")).load(workload)


def test_operators_are_counted_by_place():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    assert create_runtime(Device("d", "torch-cpu")).verify(work((net, 1))) == {"cpu": 2}
    assert create_runtime(Device("d", "torch-cpu")).verify(work((net, 1), (net, 5))) == {"cpu": 4}


def test_many_networks_of_one_class_are_each_compiled():
    """Torch compiles a function anew for a few networks, and then runs the others eagerly without a word."""
    compiled = []

    def note(graph, inputs):
        compiled.append(graph)
        return graph

    original = torch.compile
    torch._dynamo.reset()
    try:
        torch.compile = lambda f, **settings: original(f, backend=note, **settings)
        widths = range(4, 4 + torch._dynamo.config.recompile_limit + 4)
        with torch.inference_mode():
            for width in widths:
                net = nn.Sequential(nn.Conv2d(3, width, 3), nn.ReLU()).eval()
                call, x = compile_isolated(net), torch.randn(1, *SHAPE)
                np.testing.assert_array_equal(call(x), net(x))
                call(x)
    finally:
        torch.compile = original
        torch._dynamo.reset()
    assert len(compiled) == len(widths)


def test_a_network_that_is_no_single_graph_cannot_be_compiled():
    class Breaks(nn.Module):
        def forward(self, x):
            torch._dynamo.graph_break()
            return x + 1

    with pytest.raises(DeviceError, match="cannot run the network"):
        create_runtime(Device("d", "torch-cpu", options={"mode": "compiled"})).load(work((Breaks(), 1)))
