"""Options of tactics are declared by their annotations; this checks values against them."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from hwsearch.errors import SearchError, nearest

#: how an error calls what an annotation asks for
WORDS = {int: "a whole number", float: "a finite number", str: "a text", bool: "true or false", NoneType: "None"}


def check_options(cls: type, options: Mapping[str, Any]) -> None:
    """Raises SearchError for an option that the class does not have and for a value of another kind than annotated.

    Numbers must be finite; a bool is no number. What a look at the kind cannot tell is left to the tactic.
    """
    init: Any = cls.__init__  # type: ignore[misc]
    parameters = inspect.signature(init).parameters
    name = getattr(cls, "name", cls.__name__)
    if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        known = [p for p in parameters if p not in ("self", "space", "objectives", "seed")]
        for option in options:
            if option not in parameters:
                raise SearchError(f"tactic {name!r} has no option {option!r}.", hint=nearest(option, known))
    try:
        hints = get_type_hints(init)
    except (NameError, TypeError):  # a plug-in may annotate with what is imported for type checkers only
        return
    for option, value in options.items():
        hint = hints.get(option, Any) if option in parameters else Any
        if option not in ("space", "objectives", "seed") and not _fits(value, hint):
            raise SearchError(f"tactic {name!r}: {option}={value!r} does not do.", hint=f"Give {_words(hint)}.")


def _fits(value: Any, hint: Any) -> bool:
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return any(_fits(value, h) for h in inner)
    if hint in (int, float):
        number = isinstance(value, Integral if hint is int else Real) and not isinstance(value, bool)
        return number and (hint is int or math.isfinite(value))
    if hint in (str, bool, NoneType):
        return isinstance(value, hint)
    if origin is tuple and Ellipsis not in inner:
        return isinstance(value, (tuple, list)) and len(value) == len(inner) and all(map(_fits, value, inner))
    if origin is Callable:
        return callable(value)
    return not inspect.isclass(origin) or isinstance(value, origin)


def _words(hint: Any) -> str:
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return " or ".join(map(_words, inner))
    if origin is tuple:
        return f"({', '.join(map(_words, inner))})"
    if origin is Callable:
        return "a function"
    return WORDS.get(hint, getattr(origin or hint, "__name__", str(hint)))
