"""Rules that write functions of torch as ONNX nodes; importing this package registers all of them."""

from hwsearch.exporters.onnx.rules import (
    activations,
    arithmetic,
    attention,
    axes,
    creation,
    indexing,
    linear,
    norms,
    pools,
    reductions,
    shapes,
    types,
)

__all__ = [
    "activations",
    "arithmetic",
    "attention",
    "axes",
    "creation",
    "indexing",
    "linear",
    "norms",
    "pools",
    "reductions",
    "shapes",
    "types",
]
