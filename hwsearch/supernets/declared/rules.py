"""Rules for what operations do to axes: keep them, tie them to others, or end one and begin another.

Axes that meet an operation without a rule cannot be cut, and the reason is kept for whoever wants to.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from torch import Tensor, fx, nn

from hwsearch.supernets.declared.channel_groups import NetworkTrace
from hwsearch.supernets.declared.meta import computed_weight_reason, is_computed
from hwsearch.supernets.layers.sliced.conv import is_depthwise
from hwsearch.supernets.layers.sliced.kinds import SLICED

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


class AxisRules:
    """Follows the axes of all tensors through a traced graph, one rule for each kind of operation.

    Parameters
    ----------
    graph : fx.GraphModule
        The traced network.
    found : NetworkTrace
        Filled with axes, shapes and groups.
    values : dict
        Name of a node → its value on the meta device.
    """

    def __init__(self, graph: fx.GraphModule, found: NetworkTrace, values: dict[str, Any]) -> None:
        self.graph, self.found, self.values = graph, found, values
        self.modules = dict(graph.named_modules())

    def run(self) -> None:
        """Apply the rules to all nodes in order."""
        for node in self.graph.graph.nodes:
            value = self.values[node.name]
            if isinstance(value, Tensor) and node.op != "output":
                self.found.shapes[node] = tuple(value.shape)
                axes = self._dims(node)
                fits = tuple(self.found.groups.size(a) for a in axes) == self.found.shapes[node]
                self.found.dims[node] = axes if fits else self._unknown(node)
            else:  # sizes, tuples: what they are made of is read, not cut, unless tensors come out again
                self._no_tensor(node)

    # ------------------------------------------------------------------ helpers
    def _tensors(self, node: fx.Node) -> list[fx.Node]:
        return [n for n in node.all_input_nodes if n in self.found.dims]

    def _fresh(self, node: fx.Node) -> tuple[int, ...]:
        return tuple(self.found.groups.new(n) for n in self.found.shapes[node])

    def _refuse(self, node: fx.Node, reason: str) -> tuple[int, ...]:
        """Mark all that goes in or comes out as not to be cut."""
        out = self._fresh(node)
        for axes in (out, *(self.found.dims[n] for n in self._tensors(node))):
            self.found.groups.fix(axes, reason)
        return out

    def _unknown(self, node: fx.Node) -> tuple[int, ...]:
        return self._refuse(node, f"{self._what(node)} {self._place(node)} cannot be cut")

    def _place(self, node: fx.Node) -> str:
        scope = self.found.scopes[node]
        return f"in {scope!r}" if scope else "in the network's forward"

    def _name(self, node: fx.Node) -> str:
        """Name a torch or Python operation, without the marks of its in-place form; empty for others."""
        if node.op == "call_function":
            target: Any = node.target
            module = getattr(target, "__module__", None) or "torch"
            return target.__name__ if module.split(".")[0] in ("torch", "_operator") else ""
        return str(node.target).rstrip("_")

    def _no_tensor(self, node: fx.Node) -> None:
        if node.op == "output":
            for n in self._tensors(node):
                self.found.groups.fix(self.found.dims[n], "these channels are the network's output")
        elif not (node.op == "call_method" and node.target in ("size", "dim")) and node.target is not getattr:
            for n in self._tensors(node):
                self.found.groups.fix(self.found.dims[n], f"{self._what(node)} {self._place(node)} cannot be cut")

    def _what(self, node: fx.Node) -> str:
        name = getattr(node.target, "__name__", str(node.target))
        return f"the operation {name!r}"

    # ------------------------------------------------------------------ rules
    def _dims(self, node: fx.Node) -> tuple[int, ...]:
        inputs = self._tensors(node)
        if node.op == "placeholder":
            return self._refuse(node, "these channels are the network's input")
        if node.op == "get_attr":
            return self._refuse(node, f"the tensor {str(node.target)!r} is used by itself, not by a layer")
        if node.op == "call_module":
            return self._module(node, self.modules[str(node.target)])
        name = self._name(node)
        if name in ELEMENTWISE and inputs:
            return self._elementwise(node, inputs)
        if name in POOLED and len(inputs) == 1:
            return self._pooled(node, inputs[0])
        if name == "pad" and len(_argument(node, 1, "pad", ())) <= 2 * (len(self.found.shapes[node]) - 2):
            return self._pooled(node, inputs[0])
        if name in REDUCED and len(inputs) == 1:
            return self._reduced(node, inputs[0])
        if name in RESHAPED and len(inputs) == 1:
            return self._reshaped(node, inputs[0])
        if name in ("permute", "transpose") and len(inputs) == 1:
            return self._permuted(node, inputs[0])
        return self._unknown(node)

    def _module(self, node: fx.Node, module: nn.Module) -> tuple[int, ...]:
        name, inputs = str(node.target), self._tensors(node)
        if len(inputs) == 1:
            source = inputs[0]
            if is_computed(module):
                return self._refuse(node, computed_weight_reason(name))
            if type(module) in SLICED:
                return self._layer(node, name, module, source)
            if isinstance(module, ACTIVATIONS) or (isinstance(module, nn.PReLU) and module.num_parameters == 1):
                return self._elementwise(node, inputs)
            if isinstance(module, POOLS):
                return self._pooled(node, source)
            if isinstance(module, (nn.Flatten, nn.Unflatten)):
                return self._reshaped(node, source)
        return self._refuse(node, f"{name!r}, a layer of type {type(module).__name__}, cannot be cut")

    def _layer(self, node: fx.Node, name: str, module: Any, source: fx.Node) -> tuple[int, ...]:
        """Follow the axes through a layer with weights: convolution, linear, norm."""
        found = self.found
        dims, out = list(found.dims[source]), list(self._fresh(node))
        linear, last = isinstance(module, nn.Linear), isinstance(module, (nn.Linear, nn.LayerNorm))
        at = len(dims) - 1 if last else 1
        if name not in found.axes:
            begins = linear or (isinstance(module, nn.Conv2d) and not is_depthwise(module))
            found.axes[name] = (dims[at], out[at] if begins else dims[at])
        mine, other = found.axes[name]
        found.groups.tie(mine, dims[at])
        found.groups.tie(other, out[at])
        if isinstance(module, nn.Conv2d):
            found.groups.fix([*dims[2:]], f"{name!r} convolves along them")
            if module.groups > 1 and not is_depthwise(module):
                found.groups.fix((mine, other), f"{name!r} is a grouped convolution ({module.groups} groups)")
            if module.padding_mode != "zeros":
                found.groups.fix((mine, other), f"{name!r} pads by {module.padding_mode!r}")
            return tuple(out)
        if isinstance(module, nn.LayerNorm) and len(module.normalized_shape) > 1:
            found.groups.fix(dims, f"{name!r} normalises over several axes")
        for i in range(len(dims)):
            if i != at:
                found.groups.tie(dims[i], out[i])
        return tuple(out)

    def _elementwise(self, node: fx.Node, inputs: list[fx.Node]) -> tuple[int, ...]:
        found, out = self.found, self._fresh(node)
        found.elementwise.add(node)
        for source in inputs:
            for axis, result in zip(found.dims[source][::-1], out[::-1], strict=False):
                if found.groups.size(axis) == found.groups.size(result):
                    found.groups.tie(axis, result)
        return out

    def _pooled(self, node: fx.Node, source: fx.Node) -> tuple[int, ...]:
        batch_channels = self.found.dims[source][:2]
        return (*batch_channels, *(self.found.groups.new(n) for n in self.found.shapes[node][2:]))

    def _reduced(self, node: fx.Node, source: fx.Node) -> tuple[int, ...]:
        axes = self.found.dims[source]
        over = _argument(node, 1, "dim", node.kwargs.get("axis"))
        gone = range(len(axes)) if over is None else [over] if isinstance(over, int) else over
        gone = {d % len(axes) for d in gone}
        keep = len(self.found.shapes[node]) == len(axes)
        return tuple(self.found.groups.new(1) if i in gone else a for i, a in enumerate(axes) if keep or i not in gone)

    def _reshaped(self, node: fx.Node, source: fx.Node) -> tuple[int, ...]:
        """Keep an axis where it is neither split nor joined with others, and no fixed size is asked for."""
        found, out = self.found, list(self._fresh(node))
        axes = found.dims[source]
        asked: Sequence[Any] = ()
        if node.op == "call_method" and node.target in ("view", "reshape"):
            asked = node.args[1:] if not isinstance(node.args[1], (tuple, list)) else node.args[1]
        for before, after in _blocks(found.shapes[source], found.shapes[node]):
            wide_in = [i for i in before if found.groups.size(axes[i]) > 1]
            wide_out = [i for i in after if found.groups.size(out[i]) > 1]
            if len(wide_in) == len(wide_out) == 1:
                i, o = wide_in[0], wide_out[0]
                found.groups.tie(axes[i], out[o])
                if asked and isinstance(asked[o], int) and asked[o] != -1:
                    found.groups.fix((axes[i],), f"{self._what(node)} {self._place(node)} asks for {asked[o]} of them")
            else:
                sides = " × ".join(str(found.groups.size(axes[i])) for i in wide_in)
                found.groups.fix(
                    (*(axes[i] for i in wide_in), *(out[i] for i in wide_out)),
                    f"{self._what(node)} {self._place(node)} mixes axes of {sides or 1}",
                )
        return tuple(out)

    def _permuted(self, node: fx.Node, source: fx.Node) -> tuple[int, ...]:
        axes = self.found.dims[source]
        args = node.args[1] if len(node.args) == 2 else node.args[1:]
        if not isinstance(args, (tuple, list)) or not all(isinstance(d, int) for d in args):
            return self._unknown(node)
        order = [int(d) % len(axes) for d in args]  # type: ignore[arg-type]
        if self._name(node) == "transpose":
            swapped = dict(zip(order, order[::-1], strict=True))
            order = [swapped.get(d, d) for d in range(len(axes))]
        return tuple(axes[d] for d in order)


def _blocks(before: Sequence[int], after: Sequence[int]) -> list[tuple[list[int], list[int]]]:
    """Split two shapes into the finest parts with equal products: a reshape moves nothing between them."""
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
