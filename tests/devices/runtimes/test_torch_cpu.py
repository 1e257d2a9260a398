from __future__ import annotations

import pytest
import torch
from torch import nn

from hwsearch.devices import Device, Model, Workload, create_runtime
from hwsearch.devices.host import usable_cores
from hwsearch.devices.runtimes.torch_network import TorchPart
from hwsearch.errors import DeviceError, MeasurementError
from hwsearch.tasks.inputs import image

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


def test_what_holds_while_a_network_runs():
    net = Watch().train()
    device = Device("d", "torch-cpu", threads=min(2, usable_cores()), batch=4, precision="bf16")
    create_runtime(device).load(work((net, 1))).time(2)
    expected = (device.threads, True, False, torch.bfloat16, (4, *SHAPE))
    assert len(net.seen) == 3 and set(net.seen) == {expected}
    assert net.training and net.weight.dtype == torch.float32


def test_onnx_alone_is_refused():
    with pytest.raises(DeviceError, match="was given none"):
        create_runtime(Device("d", "torch-cpu")).load(Workload((Model(image(SHAPE), b"onnx"),)))


def test_a_closed_session_is_not_timed():
    session = create_runtime(Device("d", "torch-cpu")).load(work((Watch(), 1)))
    session.close()
    with pytest.raises(MeasurementError, match="closed"):
        session.time(1)


@pytest.mark.slow
def test_a_compiled_network_agrees_with_the_eager_one():
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 3)).eval()
    device = Device("d", "torch-cpu", options={"mode": "compiled"})
    model = Model(image(SHAPE), module=net)
    with torch.inference_mode():
        eager, compiled = (TorchPart(device, model, "cpu", compiled=c)() for c in (False, True))
    torch.testing.assert_close(compiled, eager, rtol=1e-4, atol=1e-5)
    session = create_runtime(device).load(Workload((model,)))
    assert min(session.time(5)) > 0
