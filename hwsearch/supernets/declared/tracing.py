"""Trace a network by torch.fx, and run the trace on tensors without storage for shapes and costs."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.utils.flop_counter import FlopCounterMode

from hwsearch.errors import SupernetError
from hwsearch.supernets.declared.channel_groups import CostedCall, NetworkTrace
from hwsearch.supernets.declared.meta import computed_weight_reason, is_computed, on_meta
from hwsearch.supernets.declared.rules import ACTIVATIONS, AxisRules


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
        """Pass by layers that keep the shape and multiply nothing: kernels without storage are slow."""
        if args and isinstance(self.fetch_attr(target), (*ACTIVATIONS, nn.BatchNorm2d)):
            return args[0]
        return super().call_module(target, args, kwargs)

    def measure(self, shape: Sequence[int]) -> _Shapes:
        with self.counter, torch.no_grad():
            self.run(torch.empty(1, *shape, device="meta"))
        return self


def trace_network(model: nn.Module, shapes: Sequence[Sequence[int]]) -> NetworkTrace:
    """Trace a network and find which of its axes are tied.

    Parameters
    ----------
    model : nn.Module
        Takes one tensor (further arguments of its forward keep their defaults), gives one tensor.
    shapes : sequence of sequence of int
        Shapes of one input without the batch axis, one for each resolution; widths are those of the first.

    Returns
    -------
    NetworkTrace
        Axes, groups and costs.

    Raises
    ------
    SupernetError
        If the network cannot be traced or does not run on one of the shapes.
    """
    what, tracer = type(model).__name__, _Tracer()
    defaults = {
        n: p.default for n, p in inspect.signature(model.forward).parameters.items() if p.default is not p.empty
    }
    modes = {m: m.training for m in model.modules()}
    try:
        graph = fx.GraphModule(model, tracer.trace(model.eval(), concrete_args=defaults or None))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever the model's own code raises
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
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # torch copies no tensor that was computed from parameters
        layers = [computed_weight_reason(n) for n, m in model.named_modules() if is_computed(m)]
        raise SupernetError(f"{what} cannot be copied: {(*layers, _first_line(error))[0]}.") from error
    for shape in shapes:
        try:
            runs.append(_Shapes(without_storage).measure(shape))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # whatever torch or the model's own code raises
            raise SupernetError(
                f"{what} does not run on an input of shape {tuple(shape)}: {_first_line(error)}"
            ) from error
    last = next(n for n in graph.graph.nodes if n.op == "output")
    result = runs[0].values[last.name]
    if not isinstance(result, Tensor) or result.ndim < 2:
        raise SupernetError(f"{what} gives {type(result).__name__}, expected one tensor (N, classes).")
    found = NetworkTrace(tuple(result.shape), scopes=tracer.scopes, children=tracer.children)
    AxisRules(graph, found, runs[0].values).run()
    for node in graph.graph.nodes:
        layer = str(node.target) if node.op == "call_module" and str(node.target) in found.axes else ""
        macs = tuple(r.macs[node.name] for r in runs)
        if any(macs):
            outputs = tuple(_numel(r.values[node.name]) for r in runs)
            found.calls.append(CostedCall(tracer.scopes[node], layer, macs, outputs))
    return found


def _numel(value: Any) -> int:
    return value.numel() if isinstance(value, Tensor) else sum(_numel(v) for v in value if v is not None)


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
