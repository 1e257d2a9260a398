"""Which widths of a network are one width: axes of tensors that have to be cut together, found in its torch.fx trace.

Every axis of every tensor gets a number. An operation either keeps an axis (activation, norm, pooling), ties the
axes of several tensors (a residual add), or ends one and begins another (a convolution, a linear layer). Axes that
meet an operation without a rule cannot be cut, and the reason is kept for whoever wants to.
"""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from torch import Tensor, fx, nn
from torch.utils.flop_counter import FlopCounterMode

from hwsearch.errors import SupernetError
from hwsearch.supernets.layers.wrapped import ELASTIC, is_depthwise

ACTIVATIONS = (
    *(nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.CELU, nn.SELU, nn.GELU, nn.SiLU, nn.Mish, nn.Hardswish, nn.Softplus),
    *(nn.Hardsigmoid, nn.Hardtanh, nn.Sigmoid, nn.Tanh, nn.LogSigmoid, nn.Softsign),
    *(nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d),
)
POOLS = (
    *(nn.MaxPool1d, nn.MaxPool2d, nn.AvgPool1d, nn.AvgPool2d, nn.LPPool2d),
    *(nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d),
    *(nn.Upsample, nn.ZeroPad2d, nn.ReflectionPad2d, nn.ReplicationPad2d),
)
#: functions and methods, by name; in-place forms end in an underscore or begin with an i
ELEMENTWISE = {
    *("add", "sub", "mul", "div", "truediv", "iadd", "isub", "imul", "itruediv", "neg", "pow", "sqrt", "rsqrt", "exp"),
    *("log", "abs", "square", "clamp", "clip", "maximum", "minimum", "relu", "relu6", "leaky_relu", "elu", "selu"),
    *("celu", "gelu", "silu", "mish", "hardswish", "hardsigmoid", "hardtanh", "sigmoid", "logsigmoid", "tanh"),
    *("softplus", "softsign", "dropout", "dropout1d", "dropout2d", "contiguous", "clone", "detach", "float", "to"),
}
POOLED = {"max_pool2d", "avg_pool2d", "adaptive_avg_pool2d", "adaptive_max_pool2d", "interpolate"}
REDUCED = {"mean", "sum", "amax", "amin"}
RESHAPED = {"view", "reshape", "flatten", "squeeze", "unsqueeze"}


@dataclass(frozen=True)
class Call:
    """One call of a layer, or of another operation that multiplies and accumulates.

    scope : name of the module in whose code it stands; macs, outputs : for each resolution, at full width
    layer : name of the layer, empty for other operations
    """

    scope: str
    layer: str
    macs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass
class Trace:
    """What `trace` found.

    axes : layer → (its input axis, its output axis), numbers to give to `root`
    calls : layers and operations that cost multiply-accumulates
    children : name of a child module → (node of its first input, its output node), one for each call
    elementwise : operations that compute each element of their output from those at its place
    """

    output: tuple[int, ...]
    axes: dict[str, tuple[int, int]] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    children: dict[str, list[tuple[Any, Any]]] = field(default_factory=dict)
    elementwise: set[fx.Node] = field(default_factory=set)
    scopes: dict[fx.Node, str] = field(default_factory=dict)
    dims: dict[fx.Node, tuple[int, ...]] = field(default_factory=dict)
    shapes: dict[fx.Node, tuple[int, ...]] = field(default_factory=dict)
    _parent: list[int] = field(default_factory=list)
    _sizes: list[int] = field(default_factory=list)
    _reasons: dict[int, str] = field(default_factory=dict)

    # ------------------------------------------------------------------ axes
    def new(self, size: int) -> int:
        self._parent.append(len(self._parent))
        self._sizes.append(size)
        return len(self._parent) - 1

    def root(self, axis: int) -> int:
        """The number that all axes tied to this one share."""
        while self._parent[axis] != axis:
            self._parent[axis] = self._parent[self._parent[axis]]
            axis = self._parent[axis]
        return axis

    def size(self, axis: int) -> int:
        """The full size."""
        return self._sizes[axis]

    def tie(self, a: int, b: int) -> None:
        a, b = self.root(a), self.root(b)
        if a != b:
            self._parent[b] = a
            if b in self._reasons:
                self._reasons.setdefault(a, self._reasons.pop(b))

    def fix(self, axes: Iterable[int], reason: str) -> None:
        """These axes cannot be cut."""
        for axis in axes:
            self._reasons.setdefault(self.root(axis), reason)

    def reason(self, axis: int) -> str | None:
        """Why this axis cannot be cut, or None."""
        return self._reasons.get(self.root(axis))


class _Tracer(fx.Tracer):
    """Also notes in which module each operation stands, and what goes into and comes out of each module."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = [""]
        self.scopes: dict[fx.Node, str] = {}
        self.children: dict[str, list[tuple[Any, Any]]] = {}

    def create_node(self, *args: Any, **kwargs: Any) -> fx.Node:
        node = super().create_node(*args, **kwargs)
        self.scopes[node] = self.stack[-1]
        return node

    def call_module(self, m: nn.Module, forward: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        name = self.path_of_module(m)
        self.stack.append(name)
        try:
            result = super().call_module(m, forward, args, kwargs)
        finally:
            self.stack.pop()
        node = lambda value: value.node if isinstance(value, fx.Proxy) else None  # noqa: E731
        self.children.setdefault(name, []).append((node(args[0]) if args else None, node(result)))
        return result


class _Shapes(fx.Interpreter):
    """Runs the graph on meta tensors and keeps each node's value and multiply-accumulates."""

    def __init__(self, graph: fx.GraphModule) -> None:
        super().__init__(graph, garbage_collect_values=False)
        self.counter = FlopCounterMode(display=False)
        self.values: dict[str, Any] = {}
        self.macs: dict[str, int] = {}

    def run_node(self, n: fx.Node) -> Any:
        before = self.counter.get_total_flops()
        value = super().run_node(n)
        self.values[n.name] = value
        self.macs[n.name] = (self.counter.get_total_flops() - before) // 2
        return value

    def call_module(self, target: Any, args: Any, kwargs: Any) -> Any:
        """Layers that keep the shape and multiply nothing are passed by: kernels without storage are slow."""
        if args and isinstance(self.fetch_attr(target), (*ACTIVATIONS, nn.BatchNorm2d)):
            return args[0]
        return super().call_module(target, args, kwargs)

    def measure(self, shape: Sequence[int]) -> _Shapes:
        with self.counter, torch.no_grad():
            self.run(torch.empty(1, *shape, device="meta"))
        return self


Net = TypeVar("Net", bound=nn.Module)


def on_meta(module: Net) -> Net:
    """A copy without storage, in evaluation mode."""
    memo: dict[int, Any] = {id(p): nn.Parameter(p.to("meta"), p.requires_grad) for p in module.parameters()}
    memo |= {id(b): b.to("meta") for b in module.buffers()}
    return copy.deepcopy(module, memo).eval()


def is_computed(module: nn.Module) -> bool:
    """Whether a layer's weight or bias is no parameter of its own but computed from others, as by `spectral_norm`."""
    return isinstance(module, tuple(ELASTIC)) and not {"weight", "bias"} <= module._parameters.keys()


def computed(name: str) -> str:
    """What stands in the way of a layer for which `is_computed` holds, and what to do."""
    return (
        f"a weight of {name!r} is computed from other tensors (spectral_norm, weight_norm, pruning or another "
        "parametrization), which has to be removed first"
    )


def trace(model: nn.Module, shapes: Sequence[Sequence[int]]) -> Trace:
    """Trace a network and find which of its axes are tied.

    model : takes one tensor (further arguments of its forward keep their defaults), gives one tensor
    shapes : of one input without the batch axis, one for each resolution; widths are those of the first
    Raises `SupernetError` when the network cannot be traced or does not run on one of the shapes.
    """
    what, tracer = type(model).__name__, _Tracer()
    defaults = {
        n: p.default for n, p in inspect.signature(model.forward).parameters.items() if p.default is not p.empty
    }
    modes = {m: m.training for m in model.modules()}
    try:
        graph = fx.GraphModule(model, tracer.trace(model.eval(), concrete_args=defaults or None))
    except Exception as error:  # whatever the model's own code raises
        raise SupernetError(
            f"{what} cannot be traced by torch.fx: {_first_line(error)}",
            hint="Python that branches on tensors must move into a module that is traced as a whole.",
        ) from error
    finally:
        for module, mode in modes.items():
            module.training = mode
    runs = []
    try:
        without_storage = on_meta(graph)
    except Exception as error:  # torch copies no tensor that was computed from parameters
        layers = [computed(n) for n, m in model.named_modules() if is_computed(m)]
        raise SupernetError(f"{what} cannot be copied: {(*layers, _first_line(error))[0]}.") from error
    for shape in shapes:
        try:
            runs.append(_Shapes(without_storage).measure(shape))
        except Exception as error:  # whatever torch or the model's own code raises
            raise SupernetError(
                f"{what} does not run on an input of shape {tuple(shape)}: {_first_line(error)}"
            ) from error
    last = next(n for n in graph.graph.nodes if n.op == "output")
    result = runs[0].values[last.name]
    if not isinstance(result, Tensor) or result.ndim < 2:
        raise SupernetError(f"{what} gives {type(result).__name__}, expected one tensor (N, classes).")
    found = Trace(tuple(result.shape), scopes=tracer.scopes, children=tracer.children)
    _Rules(graph, found, runs[0].values).run()
    for node in graph.graph.nodes:
        layer = str(node.target) if node.op == "call_module" and str(node.target) in found.axes else ""
        macs = tuple(r.macs[node.name] for r in runs)
        if any(macs):
            outputs = tuple(_numel(r.values[node.name]) for r in runs)
            found.calls.append(Call(tracer.scopes[node], layer, macs, outputs))
    return found


class _Rules:
    """One rule for each kind of operation: what becomes of the axes."""

    def __init__(self, graph: fx.GraphModule, found: Trace, values: dict[str, Any]) -> None:
        self.graph, self.found, self.values = graph, found, values
        self.modules = dict(graph.named_modules())

    def run(self) -> None:
        for node in self.graph.graph.nodes:
            value = self.values[node.name]
            if isinstance(value, Tensor) and node.op != "output":
                self.found.shapes[node] = tuple(value.shape)
                axes = self.dims(node)
                fits = tuple(self.found.size(a) for a in axes) == self.found.shapes[node]
                self.found.dims[node] = axes if fits else self.unknown(node)
            else:  # sizes, tuples: what they are made of is read, not cut, unless tensors come out again
                self.no_tensor(node)

    # ------------------------------------------------------------------ helpers
    def tensors(self, node: fx.Node) -> list[fx.Node]:
        return [n for n in node.all_input_nodes if n in self.found.dims]

    def fresh(self, node: fx.Node) -> tuple[int, ...]:
        return tuple(self.found.new(n) for n in self.found.shapes[node])

    def refuse(self, node: fx.Node, reason: str) -> tuple[int, ...]:
        """Nothing that goes in or comes out can be cut."""
        out = self.fresh(node)
        for axes in (out, *(self.found.dims[n] for n in self.tensors(node))):
            self.found.fix(axes, reason)
        return out

    def unknown(self, node: fx.Node) -> tuple[int, ...]:
        return self.refuse(node, f"{self.what(node)} {self.place(node)} cannot be cut")

    def place(self, node: fx.Node) -> str:
        scope = self.found.scopes[node]
        return f"in {scope!r}" if scope else "in the network's forward"

    def name(self, node: fx.Node) -> str:
        """Name of a torch or Python operation, without the marks of its in-place form; empty for others."""
        if node.op == "call_function":
            target: Any = node.target
            module = getattr(target, "__module__", None) or "torch"
            return target.__name__ if module.split(".")[0] in ("torch", "_operator") else ""
        return str(node.target).rstrip("_")

    def no_tensor(self, node: fx.Node) -> None:
        if node.op == "output":
            for n in self.tensors(node):
                self.found.fix(self.found.dims[n], "these channels are the network's output")
        elif not (node.op == "call_method" and node.target in ("size", "dim")) and node.target is not getattr:
            for n in self.tensors(node):
                self.found.fix(self.found.dims[n], f"{self.what(node)} {self.place(node)} cannot be cut")

    def what(self, node: fx.Node) -> str:
        name = getattr(node.target, "__name__", str(node.target))
        return f"the operation {name!r}"

    # ------------------------------------------------------------------ rules
    def dims(self, node: fx.Node) -> tuple[int, ...]:
        inputs = self.tensors(node)
        if node.op == "placeholder":
            return self.refuse(node, "these channels are the network's input")
        if node.op == "get_attr":
            return self.refuse(node, f"the tensor {str(node.target)!r} is used by itself, not by a layer")
        if node.op == "call_module":
            return self.module(node, self.modules[str(node.target)])
        name = self.name(node)
        if name in ELEMENTWISE and inputs:
            return self.elementwise(node, inputs)
        if name in POOLED and len(inputs) == 1:
            return self.pooled(node, inputs[0])
        if name == "pad" and len(_argument(node, 1, "pad", ())) <= 2 * (len(self.found.shapes[node]) - 2):
            return self.pooled(node, inputs[0])
        if name in REDUCED and len(inputs) == 1:
            return self.reduced(node, inputs[0])
        if name in RESHAPED and len(inputs) == 1:
            return self.reshaped(node, inputs[0])
        if name in ("permute", "transpose") and len(inputs) == 1:
            return self.permuted(node, inputs[0])
        return self.unknown(node)

    def module(self, node: fx.Node, module: nn.Module) -> tuple[int, ...]:
        name, inputs = str(node.target), self.tensors(node)
        if len(inputs) == 1:
            source = inputs[0]
            if is_computed(module):
                return self.refuse(node, computed(name))
            if type(module) in ELASTIC:
                return self.layer(node, name, module, source)
            if isinstance(module, ACTIVATIONS) or (isinstance(module, nn.PReLU) and module.num_parameters == 1):
                return self.elementwise(node, inputs)
            if isinstance(module, POOLS):
                return self.pooled(node, source)
            if isinstance(module, (nn.Flatten, nn.Unflatten)):
                return self.reshaped(node, source)
        return self.refuse(node, f"{name!r}, a layer of type {type(module).__name__}, cannot be cut")

    def layer(self, node: fx.Node, name: str, module: Any, source: fx.Node) -> tuple[int, ...]:
        """Layers with weights: convolution, linear, norms."""
        found = self.found
        dims, out = list(found.dims[source]), list(self.fresh(node))
        linear, last = isinstance(module, nn.Linear), isinstance(module, (nn.Linear, nn.LayerNorm))
        at = len(dims) - 1 if last else 1
        if name not in found.axes:
            begins = linear or (isinstance(module, nn.Conv2d) and not is_depthwise(module))
            found.axes[name] = (dims[at], out[at] if begins else dims[at])
        mine, other = found.axes[name]
        found.tie(mine, dims[at])
        found.tie(other, out[at])
        if isinstance(module, nn.Conv2d):
            found.fix([*dims[2:]], f"{name!r} convolves along them")
            if module.groups > 1 and not is_depthwise(module):
                found.fix((mine, other), f"{name!r} is a grouped convolution ({module.groups} groups)")
            if module.padding_mode != "zeros":
                found.fix((mine, other), f"{name!r} pads by {module.padding_mode!r}")
            return tuple(out)
        if isinstance(module, nn.LayerNorm) and len(module.normalized_shape) > 1:
            found.fix(dims, f"{name!r} normalises over several axes")
        for i in range(len(dims)):
            if i != at:
                found.tie(dims[i], out[i])
        return tuple(out)

    def elementwise(self, node: fx.Node, inputs: list[fx.Node]) -> tuple[int, ...]:
        found, out = self.found, self.fresh(node)
        found.elementwise.add(node)
        for source in inputs:
            for axis, result in zip(found.dims[source][::-1], out[::-1], strict=False):
                if found.size(axis) == found.size(result):
                    found.tie(axis, result)
        return out

    def pooled(self, node: fx.Node, source: fx.Node) -> tuple[int, ...]:
        batch_channels = self.found.dims[source][:2]
        return (*batch_channels, *(self.found.new(n) for n in self.found.shapes[node][2:]))

    def reduced(self, node: fx.Node, source: fx.Node) -> tuple[int, ...]:
        axes = self.found.dims[source]
        over = _argument(node, 1, "dim", node.kwargs.get("axis"))
        gone = range(len(axes)) if over is None else [over] if isinstance(over, int) else over
        gone = {d % len(axes) for d in gone}
        keep = len(self.found.shapes[node]) == len(axes)
        return tuple(self.found.new(1) if i in gone else a for i, a in enumerate(axes) if keep or i not in gone)

    def reshaped(self, node: fx.Node, source: fx.Node) -> tuple[int, ...]:
        """An axis stays itself where it is neither parted nor joined with others, and no fixed size is asked for."""
        found, out = self.found, list(self.fresh(node))
        axes = found.dims[source]
        asked: Sequence[Any] = ()
        if node.op == "call_method" and node.target in ("view", "reshape"):
            asked = node.args[1:] if not isinstance(node.args[1], (tuple, list)) else node.args[1]
        for before, after in _blocks(found.shapes[source], found.shapes[node]):
            wide_in = [i for i in before if found.size(axes[i]) > 1]
            wide_out = [i for i in after if found.size(out[i]) > 1]
            if len(wide_in) == len(wide_out) == 1:
                i, o = wide_in[0], wide_out[0]
                found.tie(axes[i], out[o])
                if asked and isinstance(asked[o], int) and asked[o] != -1:
                    found.fix((axes[i],), f"{self.what(node)} {self.place(node)} asks for {asked[o]} of them")
            else:
                sides = " × ".join(str(found.size(axes[i])) for i in wide_in)
                found.fix(
                    (*(axes[i] for i in wide_in), *(out[i] for i in wide_out)),
                    f"{self.what(node)} {self.place(node)} mixes axes of {sides or 1}",
                )
        return tuple(out)

    def permuted(self, node: fx.Node, source: fx.Node) -> tuple[int, ...]:
        axes = self.found.dims[source]
        args = node.args[1] if len(node.args) == 2 else node.args[1:]
        if not isinstance(args, (tuple, list)) or not all(isinstance(d, int) for d in args):
            return self.unknown(node)
        order = [int(d) % len(axes) for d in args]  # type: ignore[arg-type]
        if self.name(node) == "transpose":
            swapped = dict(zip(order, order[::-1], strict=True))
            order = [swapped.get(d, d) for d in range(len(axes))]
        return tuple(axes[d] for d in order)


def _blocks(before: Sequence[int], after: Sequence[int]) -> list[tuple[list[int], list[int]]]:
    """The finest parts of two shapes with equal products, in order: a reshape moves nothing between them."""
    parts: list[tuple[list[int], list[int]]] = []
    i = j = 0
    while i < len(before) or j < len(after):
        left: list[int] = []
        right: list[int] = []
        while not left or not right or math.prod(before[k] for k in left) != math.prod(after[k] for k in right):
            a, b = math.prod(before[k] for k in left), math.prod(after[k] for k in right)
            if i < len(before) and (a <= b or j == len(after)):
                left.append(i)
                i += 1
            elif j < len(after):
                right.append(j)
                j += 1
            else:
                break
        parts.append((left, right))
    return parts


def _argument(node: fx.Node, place: int, name: str, default: Any) -> Any:
    return node.args[place] if len(node.args) > place else node.kwargs.get(name, default)


def _numel(value: Any) -> int:
    return value.numel() if isinstance(value, Tensor) else sum(_numel(v) for v in value if v is not None)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
