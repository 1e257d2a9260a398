"""Trace a whole network into a graph of ONNX nodes with named inputs and outputs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn

from hwsearch.exporters.onnx.dims import Atom, Dim, NoRuleError, Size
from hwsearch.exporters.onnx.graph import Graph
from hwsearch.exporters.onnx.passes import fold_norms, prune
from hwsearch.exporters.onnx.tracer import OnnxTracer
from hwsearch.exporters.onnx.values import TracedTensor
from hwsearch.tasks.inputs import Input


@contextmanager
def evaluating(net: nn.Module) -> Iterator[None]:
    """Set a network to evaluation mode in a context, and restore the mode of each module on exit.

    Parameters
    ----------
    net : nn.Module
        The network.

    Yields
    ------
    None
        Nothing.
    """
    training = [m for m in net.modules() if m.training]
    net.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


def trace_to_graph(
    net: nn.Module, inputs: Sequence[Input], batch: int | None, outputs: Sequence[str]
) -> tuple[Graph, list[TracedTensor], list[TracedTensor]]:
    """Trace a network in evaluation mode into an ONNX graph, with batch norms folded and dead nodes removed.

    Parameters
    ----------
    net : nn.Module
        Takes the tensors of `inputs`, gives those of `outputs`.
    inputs : sequence of Input
        What the network takes. Variable axes of equal name are taken to be equal.
    batch : int or None
        A fixed batch size, or None for any.
    outputs : sequence of str
        Names that the outputs get, in order.

    Returns
    -------
    graph : Graph
        Nodes and constants.
    inputs : list of TracedTensor
        Names, shapes and types of the inputs.
    outputs : list of TracedTensor
        Names, shapes and types of the outputs.

    Raises
    ------
    NoRuleError
        If the network does something that the rules cannot express: an operation without a rule, a branch on a
        number of a tensor, random numbers.
    """
    run = OnnxTracer(net, [*(i.name for i in inputs), *outputs])
    atoms: dict[str, Atom] = {}
    values = []
    for i in inputs:
        shape: list[Size] = list(i.full_shape(batch or 1))
        for axis, name in i.dynamic_axes(None if batch else "batch").items():
            shape[axis] = Dim.of(atoms.setdefault(name, Atom(name, (i.name, axis))))
        values.append(TracedTensor(run, i.name, shape, torch.int64 if i.high else torch.float32))
    placed = [TracedTensor(run, v.name, v.shape, v.dtype) for v in values]
    random = torch.get_rng_state()
    try:
        with evaluating(net), torch.no_grad(), run:
            given = net(*values)
        if not torch.equal(random, torch.get_rng_state()):
            raise NoRuleError("random numbers")
    except NoRuleError:
        raise
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever a network's code does with what is no tensor
        raise NoRuleError(f"{type(error).__name__}: {error}") from error
    found = [given] if isinstance(given, TracedTensor) else list(given) if isinstance(given, (tuple, list)) else []
    if len(found) != len(outputs) or not all(isinstance(v, TracedTensor) for v in found):
        raise NoRuleError(f"outputs other than {len(outputs)} tensors")
    graph, results = run.graph, []
    own = {n for node in graph.nodes for n in node.outputs}
    renamed: dict[str, str] = {}
    for name, value in zip(outputs, found, strict=True):
        source = renamed.get(value.name, value.name)
        if source in own:
            own.discard(source)
        else:  # an input, a constant, or what is an output already
            (source,) = graph.emit("Identity", [source])
        graph.rename(source, name)
        renamed.setdefault(value.name, name)
        results.append(TracedTensor(run, name, value.shape, value.dtype))
    fold_norms(graph, outputs)
    prune(graph, outputs)
    return graph, placed, results
