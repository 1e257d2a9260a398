from __future__ import annotations

import hashlib
import json

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from hwsearch.errors import ExportError
from hwsearch.exporters import INPUT, lower, run_onnx, serialise, torch_export, verify, write_bundle
from hwsearch.exporters.onnx.lower import by_rules
from hwsearch.supernets.families.cifar10 import CONFIG
from hwsearch.supernets.families.mobilenetv3.init import init_weights
from hwsearch.supernets.families.mobilenetv3.supernet import ElasticMobileNetV3


def randomised(net: nn.Module, seed: int = 0) -> nn.Module:
    generator = torch.Generator().manual_seed(seed)
    for m in net.modules():
        if isinstance(m, nn.BatchNorm2d):
            m.running_mean.normal_(generator=generator)
            m.running_var.uniform_(0.5, 2.0, generator=generator)
            m.weight.data.uniform_(0.5, 1.5, generator=generator)
            m.bias.data.normal_(generator=generator)
    return net.eval()


@pytest.fixture(scope="module")
def supernet():
    net = ElasticMobileNetV3(CONFIG)
    init_weights(net, 0)
    return randomised(net)


def test_equals_torch_for_sampled_architectures(supernet):
    space = supernet.space
    for arch in [space.smallest(), space.largest(), *space.sample(25, np.random.default_rng(0))]:
        net = supernet.subnet(arch).eval()
        shape = supernet.input_shape(arch)
        x = torch.randn(3, *shape, generator=torch.Generator().manual_seed(1))
        assert verify(by_rules(net, shape), net, x, tolerance=1e-5) <= 1e-5


def test_equals_torchs_own_exporter(supernet):
    arch = supernet.space.sample(1, np.random.default_rng(3))[0]
    net, shape = supernet.subnet(arch).eval(), supernet.input_shape(arch)
    x = torch.randn(2, *shape, generator=torch.Generator().manual_seed(2)).numpy()
    (ours,) = run_onnx(lower(net, shape).SerializeToString(), x)
    (theirs,) = run_onnx(torch_export(net, shape).SerializeToString(), x)
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_batch_may_be_any_or_fixed(supernet):
    arch = supernet.space.smallest()
    net, shape = supernet.subnet(arch).eval(), supernet.input_shape(arch)
    free, fixed = lower(net, shape), lower(net, shape, batch=4)
    assert free.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    assert fixed.graph.input[0].type.tensor_type.shape.dim[0].dim_value == 4
    for n in (1, 7):
        assert run_onnx(free.SerializeToString(), np.zeros((n, *shape), np.float32))[0].shape == (n, 10)
    with pytest.raises(ExportError, match="batch 4"):
        verify(fixed, net, torch.zeros(2, *shape))


class Mixed(nn.Module):
    """The other rules: pools, sigmoid, ReLU6, linear without bias, batch norm without convolution."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2d(3)
        self.conv = nn.Conv2d(3, 8, 3, 2, 1)
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.mean = nn.AvgPool2d(2)
        self.act = nn.ReLU6()
        self.fc = nn.Linear(8, 5, bias=False)

    def forward(self, x):
        x = self.mean(self.pool(self.act(self.conv(self.norm(x)))))
        x = torch.sigmoid(x) * torch.relu(x) + nn.functional.hardsigmoid(x)
        return self.fc(torch.flatten(x.mean((2, 3), keepdim=True), 1))


def test_other_operations():
    net = randomised(Mixed())
    x = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    assert verify(by_rules(net, (3, 16, 16)), net, x, tolerance=1e-5) <= 1e-5


def test_a_wrong_model_is_found(supernet):
    arch = supernet.space.smallest()
    net, shape = supernet.subnet(arch).eval(), supernet.input_shape(arch)
    model = lower(net, shape)
    weight = max(model.graph.initializer, key=lambda w: len(w.raw_data))
    values = onnx.numpy_helper.to_array(weight) * 1.05
    weight.CopyFrom(onnx.numpy_helper.from_array(values, weight.name))
    with pytest.raises(ExportError, match="differs from torch"):
        verify(model, net, torch.randn(4, *shape, generator=torch.Generator().manual_seed(0)))
    model.graph.node[0].op_type = "Nonsense"
    with pytest.raises(ExportError, match="malformed"):
        verify(model, net, torch.randn(4, *shape))


def test_bundle_is_whole_and_says_its_hash(supernet, tmp_path):
    arch = supernet.space.smallest()
    model = lower(supernet.subnet(arch).eval(), supernet.input_shape(arch))
    card = write_bundle(tmp_path / "a" / "m.onnx", model, {"note": "é"})
    data = (tmp_path / "a" / "m.onnx").read_bytes()
    assert card["sha256"] == hashlib.sha256(data).hexdigest() and card["bytes"] == len(data)
    assert json.loads((tmp_path / "a" / "m.json").read_text(encoding="utf-8")) == card
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == ["m.json", "m.onnx"]
    assert onnx.load(tmp_path / "a" / "m.onnx").graph.input[0].name == INPUT
    with pytest.raises(ExportError, match=r"\.onnx"):
        write_bundle(tmp_path / "m.bin", model, {})
    (tmp_path / "file").write_text("")
    with pytest.raises(ExportError, match="cannot write"):
        write_bundle(tmp_path / "file" / "m.onnx", model, {})


def test_serialised_models_are_what_protobuf_reads(supernet):
    arch = supernet.space.smallest()
    net, shape = supernet.subnet(arch).eval(), supernet.input_shape(arch)
    plain = onnx.helper.make_tensor("w", onnx.TensorProto.FLOAT, [3], [1.0, 2.0, 3.0])  # values in another field
    with_fields = lower(net, shape)
    with_fields.graph.initializer.append(plain)
    with_fields.metadata_props.add(key="arch", value=arch.id)
    for model in (lower(net, shape), torch_export(net, shape), with_fields):
        data = serialise(model)
        assert onnx.load_model_from_string(data) == model and len(data) == model.ByteSize()
