"""The rule for scaled dot-product attention."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from hwsearch.exporters.onnx.dims import NoRuleError
from hwsearch.exporters.onnx.registry import RULES, rule
from hwsearch.exporters.onnx.tracer import OnnxTracer
from hwsearch.exporters.onnx.values import Argument, TracedTensor


@rule("scaled_dot_product_attention")
def _attention(
    tracer: OnnxTracer,
    query: Argument,
    key: Argument,
    value: Argument,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> TracedTensor:
    width = query.shape[-1]
    if dropout_p or is_causal or enable_gqa or not isinstance(width, int):
        raise NoRuleError("attention with dropout, a causal flag or grouped queries")
    q = RULES["mul"](tracer, query, 1 / math.sqrt(width) if scale is None else scale)
    scores = RULES["matmul"](tracer, q, RULES["transpose"](tracer, key, -2, -1))
    if attn_mask is None:
        return RULES["matmul"](tracer, RULES["softmax"](tracer, scores, -1), value)
    if attn_mask.dtype == torch.bool:
        scores = RULES["where"](tracer, attn_mask, scores, -math.inf)
    else:
        scores = RULES["add"](tracer, scores, attn_mask)
    nothing = RULES["eq"](tracer, RULES["amax"](tracer, scores, -1, True), -math.inf)  # such a query gets zeros
    return RULES["matmul"](tracer, RULES["where"](tracer, nothing, 0.0, RULES["softmax"](tracer, scores, -1)), value)
