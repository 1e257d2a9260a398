"""Lower a plain torch network to ONNX in milliseconds.

The network is traced with torch.fx and each operation is written as ONNX nodes by a small rule;
batch norms that follow a convolution are folded into it in float64. `torch.onnx.export` takes
0.2 – 10 s a model, and a campaign needs hundreds. A network with an operation that has no rule here
goes through `torch.onnx.export`. Either way the result is compared with torch (`hwsearch.export.verify`).
"""

from __future__ import annotations

import io
import operator
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import fx, nn

from hwsearch.errors import ExportError
from hwsearch.inputs import Input, InputsLike, as_inputs

OPSET = 17
IR_VERSION = 9
INPUT, OUTPUT = "image", "logits"


class NoRule(Exception):
    """An operation that `lower` has no rule for."""


class _Builder:
    """Collects nodes and initialisers of one graph."""

    def __init__(self, net: nn.Module) -> None:
        self.modules = dict(net.named_modules())
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.names: dict[fx.Node, str] = {}

    def weight(self, name: str, value: NDArray[Any]) -> str:
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def emit(self, node: fx.Node, op: str, inputs: Sequence[str], suffix: str = "", **attributes: Any) -> str:
        out = f"{node.name}{suffix}"
        self.nodes.append(helper.make_node(op, list(inputs), [out], name=out, **attributes))
        return out

    def __getitem__(self, node: Any) -> str:
        if not isinstance(node, fx.Node):
            raise NoRule(f"constant operand {node!r}")
        return self.names[node]

    # ------------------------------------------------------------------ modules
    def conv(self, node: fx.Node, conv: nn.Conv2d, norm: nn.BatchNorm2d | None) -> str:
        if conv.padding_mode != "zeros" or isinstance(conv.padding, str):
            raise NoRule(f"convolution padding {conv.padding_mode} {conv.padding}")
        weight = conv.weight.detach().double()
        bias = conv.bias.detach().double() if conv.bias is not None else torch.zeros(conv.out_channels).double()
        if norm is not None:
            scale, shift = _affine(norm)
            weight = weight * scale[:, None, None, None]
            bias = bias * scale + shift
        inputs = [self[node.args[0]], self.weight(f"{node.name}.weight", _float(weight))]
        if conv.bias is not None or norm is not None:
            inputs.append(self.weight(f"{node.name}.bias", _float(bias)))
        pads = [int(conv.padding[0]), int(conv.padding[1])] * 2
        return self.emit(
            node,
            "Conv",
            inputs,
            kernel_shape=list(conv.kernel_size),
            strides=list(conv.stride),
            dilations=list(conv.dilation),
            group=conv.groups,
            pads=pads,
        )

    def norm(self, node: fx.Node, norm: nn.BatchNorm2d) -> str:
        scale, shift = _affine(norm)
        shape = (1, -1, 1, 1)
        scaled = self.emit(
            node,
            "Mul",
            [self[node.args[0]], self.weight(f"{node.name}.scale", _float(scale).reshape(shape))],
            ".scaled",
        )
        return self.emit(node, "Add", [scaled, self.weight(f"{node.name}.shift", _float(shift).reshape(shape))])

    def linear(self, node: fx.Node, linear: nn.Linear) -> str:
        inputs = [self[node.args[0]], self.weight(f"{node.name}.weight", _float(linear.weight.detach()))]
        if linear.bias is not None:
            inputs.append(self.weight(f"{node.name}.bias", _float(linear.bias.detach())))
        return self.emit(node, "Gemm", inputs, transB=1)

    def relu6(self, node: fx.Node) -> str:
        low = self.weight(f"{node.name}.low", np.array(0, np.float32))
        high = self.weight(f"{node.name}.high", np.array(6, np.float32))
        return self.emit(node, "Clip", [self[node.args[0]], low, high])

    def swish(self, node: fx.Node) -> str:
        x = self[node.args[0]]
        return self.emit(node, "Mul", [x, self.emit(node, "Sigmoid", [x], ".gate")])

    def hard_sigmoid(self, node: fx.Node) -> str:
        return self.emit(node, "HardSigmoid", [self[node.args[0]]], alpha=1 / 6, beta=0.5)

    def mean(self, node: fx.Node, axes: Any, keep: bool) -> str:
        axes = [axes] if isinstance(axes, int) else list(axes)
        if keep and sorted(axes) in ([2, 3], [-2, -1]):
            return self.emit(node, "GlobalAveragePool", [self[node.args[0]]])
        return self.emit(node, "ReduceMean", [self[node.args[0]]], axes=axes, keepdims=int(keep))

    def flatten(self, node: fx.Node, axis: int) -> str:
        if axis != 1:
            raise NoRule(f"flatten from axis {axis}")
        return self.emit(node, "Flatten", [self[node.args[0]]], axis=1)

    def pool(self, node: fx.Node, pool: nn.MaxPool2d | nn.AvgPool2d) -> str:
        kernel, stride = _pair(pool.kernel_size), _pair(pool.stride or pool.kernel_size)
        pads = _pair(pool.padding) * 2
        extra: dict[str, Any] = {"ceil_mode": int(pool.ceil_mode)}
        if isinstance(pool, nn.AvgPool2d):
            extra["count_include_pad"] = int(pool.count_include_pad)
        elif _pair(pool.dilation) != [1, 1] or pool.return_indices:
            raise NoRule("dilated pooling or pooling with indices")
        op = "MaxPool" if isinstance(pool, nn.MaxPool2d) else "AveragePool"
        return self.emit(node, op, [self[node.args[0]]], kernel_shape=kernel, strides=stride, pads=pads, **extra)

    def module(self, node: fx.Node, module: nn.Module, norm: nn.BatchNorm2d | None) -> str:
        match module:
            case nn.Conv2d():
                return self.conv(node, module, norm)
            case nn.BatchNorm2d():
                return self.norm(node, module)
            case nn.Linear():
                return self.linear(node, module)
            case nn.ReLU6():
                return self.relu6(node)
            case nn.ReLU():
                return self.emit(node, "Relu", [self[node.args[0]]])
            case nn.Hardswish():
                return self.emit(node, "HardSwish", [self[node.args[0]]])
            case nn.Hardsigmoid():
                return self.hard_sigmoid(node)
            case nn.SiLU():
                return self.swish(node)
            case nn.Sigmoid():
                return self.emit(node, "Sigmoid", [self[node.args[0]]])
            case nn.Identity() | nn.Dropout():
                return self[node.args[0]]
            case nn.Flatten() if module.end_dim == -1:
                return self.flatten(node, module.start_dim)
            case nn.MaxPool2d() | nn.AvgPool2d():
                return self.pool(node, module)
            case nn.AdaptiveAvgPool2d() if module.output_size in (1, (1, 1)):
                return self.emit(node, "GlobalAveragePool", [self[node.args[0]]])
        raise NoRule(type(module).__name__)

    # ------------------------------------------------------------------ functions and methods
    def call(self, node: fx.Node) -> str:
        target = node.target
        simple = {
            F.relu: "Relu",
            torch.relu: "Relu",
            F.hardswish: "HardSwish",
            torch.sigmoid: "Sigmoid",
            "relu": "Relu",
        }
        binary: dict[Any, str] = {operator.add: "Add", torch.add: "Add", operator.mul: "Mul", torch.mul: "Mul"}
        if target in simple:
            return self.emit(node, simple[target], [self[node.args[0]]])  # type: ignore[index]
        if target in binary and not set(node.kwargs) - {"inplace"}:
            return self.emit(node, binary[target], [self[node.args[0]], self[node.args[1]]])
        if target is F.hardsigmoid:
            return self.hard_sigmoid(node)
        if target is F.silu:
            return self.swish(node)
        if target is F.relu6:
            return self.relu6(node)
        if target in (torch.mean, "mean"):
            axes = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim")
            keep = node.args[2] if len(node.args) > 2 else node.kwargs.get("keepdim", False)
            if axes is not None:
                return self.mean(node, axes, bool(keep))
        if target in (torch.flatten, "flatten"):
            axis = node.args[1] if len(node.args) > 1 else node.kwargs.get("start_dim", 0)
            return self.flatten(node, int(axis))  # type: ignore[arg-type]
        raise NoRule(getattr(target, "__name__", str(target)))


def lower(
    net: nn.Module,
    inputs: InputsLike,
    *,
    outputs: Sequence[str] = (OUTPUT,),
    output_axes: Sequence[dict[int, str]] = (),
    batch: int | None = None,
) -> onnx.ModelProto:
    """The ONNX model of a network in evaluation mode.

    net : takes the tensors of `inputs`, gives those of `outputs`; its batch norms use running statistics
    inputs : what it takes, or the (C, H, W) of its one image
    output_axes : variable axes of each output, by number (none given: axis 0 is the batch)
    batch : a fixed batch size, or None for any
    """
    inputs = as_inputs(inputs)
    if len(inputs) == 1 and not inputs[0].high and len(outputs) == 1:
        try:
            return _lower(net, inputs[0].shape, batch)
        except (NoRule, fx.proxy.TraceError):
            pass
    return torch_export(net, inputs, outputs=outputs, output_axes=output_axes, batch=batch)


def _lower(net: nn.Module, input_shape: tuple[int, ...], batch: int | None) -> onnx.ModelProto:
    training = net.training
    net.eval()
    graph_of_calls = fx.Tracer().trace(net)  # no GraphModule: its code is never run
    net.train(training)
    build = _Builder(net)
    result = ""
    folded: dict[fx.Node, fx.Node] = {}
    for node in graph_of_calls.nodes:
        if node in folded:
            build.names[node] = build.names[folded[node]]
            continue
        if node.op == "placeholder":
            build.names[node] = INPUT
        elif node.op == "output":
            result = build[node.args[0]]
        elif node.op == "call_module":
            module = build.modules[node.target]
            after = _folded_norm(node, build.modules) if isinstance(module, nn.Conv2d) else None
            norm = build.modules[after.target] if after is not None else None
            build.names[node] = build.module(node, module, norm if isinstance(norm, nn.BatchNorm2d) else None)
            if after is not None:
                folded[after] = node
        elif node.op in ("call_function", "call_method"):
            build.names[node] = build.call(node)
        else:
            raise NoRule(node.op)
    for proto in build.nodes:
        for i, name in enumerate(proto.output):
            if name == result:
                proto.output[i] = OUTPUT
        for i, name in enumerate(proto.input):
            if name == result:
                proto.input[i] = OUTPUT
    size: int | str = batch if batch is not None else "batch"
    classes = _classes(net)
    graph = helper.make_graph(
        build.nodes,
        "subnet",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, [size, *input_shape])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, [size, classes])],
        build.weights,
    )
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="hwsearch"
    )


def torch_export(
    net: nn.Module,
    inputs: InputsLike,
    *,
    outputs: Sequence[str] = (OUTPUT,),
    output_axes: Sequence[dict[int, str]] = (),
    batch: int | None = None,
) -> onnx.ModelProto:
    """The ONNX model by `torch.onnx.export`, for networks `lower` has no rules for; arguments as there."""
    inputs = as_inputs(inputs)
    buffer = io.BytesIO()
    training = net.training
    net.eval()
    axes = {i.name: i.dynamic_axes(None if batch else "batch") for i in inputs}
    for k, name in enumerate(outputs):
        found = output_axes[k] if output_axes else {0: "batch"}
        axes[name] = {a: n for a, n in found.items() if not (batch and n == "batch")}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                net,
                _samples(inputs, batch or 1),
                buffer,  # type: ignore[arg-type]
                input_names=[i.name for i in inputs],
                output_names=list(outputs),
                dynamic_axes={k: v for k, v in axes.items() if v},
                opset_version=OPSET,
                dynamo=False,
            )
    except Exception as error:  # torch raises many kinds
        raise ExportError(f"{type(net).__name__} cannot be exported to ONNX: {error}.") from error
    finally:
        net.train(training)
    return onnx.load_model_from_string(buffer.getvalue())


def _samples(inputs: Sequence[Input], batch: int) -> tuple[torch.Tensor, ...]:
    rng = np.random.default_rng(0)
    return tuple(torch.from_numpy(np.asarray(i.sample(batch, rng))) for i in inputs)


def _folded_norm(node: fx.Node, modules: dict[str, nn.Module]) -> fx.Node | None:
    """The batch norm that is the only user of this convolution, if that is so."""
    users = list(node.users)
    if len(users) == 1 and users[0].op == "call_module" and isinstance(modules[str(users[0].target)], nn.BatchNorm2d):
        return users[0]
    return None


def _affine(norm: nn.BatchNorm2d) -> tuple[torch.Tensor, torch.Tensor]:
    """(scale, shift) in float64 of a batch norm with fixed statistics."""
    if norm.running_mean is None or norm.running_var is None:
        raise NoRule("batch norm without statistics")
    inverse = torch.rsqrt(norm.running_var.double() + norm.eps)
    scale = norm.weight.detach().double() * inverse if norm.weight is not None else inverse
    shift = -norm.running_mean.double() * scale
    if norm.bias is not None:
        shift = shift + norm.bias.detach().double()
    return scale, shift


def _classes(net: nn.Module) -> int | str:
    linears = [m for m in net.modules() if isinstance(m, nn.Linear)]
    return linears[-1].out_features if linears else "classes"


def _float(value: torch.Tensor) -> NDArray[np.float32]:
    return value.float().numpy()


def _pair(value: int | tuple[int, ...]) -> list[int]:
    return [value, value] if isinstance(value, int) else [int(v) for v in value]
