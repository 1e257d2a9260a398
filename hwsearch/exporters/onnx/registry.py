"""The registry of export rules: torch function → how it is written as ONNX nodes."""

from __future__ import annotations

from collections.abc import Callable

from hwsearch.exporters.onnx.values import Argument, Recorder, TracedTensor

#: a rule ``(tracer, *arguments of the torch function) → TracedTensor``, or a tuple of them
Rule = Callable[..., Argument]

#: name of a function or method of torch → its rule, with torch's own names of arguments after the tracer
RULES: dict[str, Rule] = {}

#: function of torch → other names of it
OTHER_NAMES = {
    "abs": ("absolute",),
    "bitwise_and": ("and",),
    "bitwise_not": ("invert",),
    "bitwise_or": ("or",),
    "bitwise_xor": ("xor",),
    "cat": ("concat", "concatenate"),
    "clamp": ("clip",),
    "div": ("truediv", "true_divide", "divide"),
    "mul": ("multiply",),
    "neg": ("negative",),
    "rdiv": ("rtruediv",),
    "sub": ("subtract",),
    "transpose": ("swapaxes", "swapdims"),
}
#: other name of a function → the name that its rule is registered under
SYNONYMS = {other: name for name, others in OTHER_NAMES.items() for other in others}


def rule(*names: str, view: bool = False) -> Callable[[Rule], Rule]:
    """Register the decorated function as the rule of torch functions.

    Parameters
    ----------
    *names : str
        Names of functions or methods of torch, without underscores of special methods.
    view : bool, default False
        Whether the result may share its input's memory; both are then marked as shared, and no later
        in-place change of either can be exported.

    Returns
    -------
    callable
        Decorator that returns the function as it is.
    """

    def register(function: Rule) -> Rule:
        def viewing(tracer: Recorder, x: Argument, *args: Argument, **kwargs: Argument) -> Argument:
            result = function(tracer, x, *args, **kwargs)
            for v in result if isinstance(result, (tuple, list)) else [result]:
                if v is not x:
                    v.shared = True
                    if isinstance(x, TracedTensor):
                        x.shared = True
            return result

        RULES.update(dict.fromkeys(names, viewing if view else function))
        return function

    return register
