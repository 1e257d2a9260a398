"""Intervals that a network takes in place of tensors: interval bound propagation by torch's function protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from hwsearch.errors import BoundError

#: a function of torch, and what it is called with: tensors, intervals, numbers, lists of them
Function = Callable[..., Any]
Arguments = tuple[Any, ...]
Named = dict[str, Any]
#: lower and upper end of one output
Pair = tuple[Tensor, Tensor]
#: computes the ends of the outputs of a function; a list for a function that has several
Rule = Callable[[Function, Arguments, Named], "Pair | list[Pair]"]

#: where torch keeps its functions: one operator has a name in several of them
HOMES: tuple[object, ...] = (torch, F, torch.Tensor, torch._C._nn)

#: functions whose bounds are known
RULES: dict[object, Rule] = {}
#: functions that change their first argument → the same that do not
IN_PLACE: dict[object, Function] = {}
#: functions that are activations, which a `Watch` looks at
ACTIVATIONS: set[object] = set()
#: layers with a weight
LAYERS: set[object] = set()
#: functions that add
SUMS: set[object] = set()


def functions(*names: str) -> list[Function]:
    """Find torch's functions of some names.

    Parameters
    ----------
    *names : str
        Such as ``relu``.

    Returns
    -------
    list
        Functions and methods, each once.
    """
    found = (getattr(home, name, None) for name in names for home in HOMES)
    return [*dict.fromkeys(function for function in found if function is not None)]


def bounded_by(*names: str) -> Callable[[Rule], Rule]:
    """Register a rule for torch's functions of some names, and for their variants in place.

    Parameters
    ----------
    *names : str
        Such as ``relu``.

    Returns
    -------
    callable
        A decorator that gives back the rule.
    """

    def register(rule: Rule) -> Rule:
        for name in names:
            for function in functions(name):
                RULES[function] = rule
            for home in HOMES:
                changing, plain = getattr(home, f"{name}_", None), getattr(home, name, None)
                if changing is not None and plain is not None:
                    IN_PLACE[changing] = plain
        return rule

    return register


@dataclass
class Watch:
    """Trace of an interval that goes through a network.

    Attributes
    ----------
    activations : list of (Tensor, Tensor)
        Lower and upper ends in front of each activation, in the order of the pass.
    layers : list of (Tensor, bool)
        Weight of each convolution or linear layer, and whether its input is a sum of two branches.
    """

    activations: list[Pair] = field(default_factory=list)
    layers: list[tuple[Tensor, bool]] = field(default_factory=list)


@dataclass(frozen=True)
class Affine:
    """A linear layer and the interval in front of it, from which differences of its outputs are bounded more tightly.

    Attributes
    ----------
    centre, radius : Tensor
        Of the layer's input, shape ``(b, features)``.
    weight : Tensor
        Shape ``(outputs, features)``.
    bias : Tensor or None
        Shape ``(outputs,)``.
    """

    centre: Tensor
    radius: Tensor
    weight: Tensor
    bias: Tensor | None


class Interval:
    """A box ``lower <= x <= upper`` that a network computes with as if it were a tensor.

    Any network that calls torch's functions on its input can be called with an interval; its output is the interval that
    contains its outputs on all points of the box. An operator without a rule is refused by its name.

    Parameters
    ----------
    lower, upper : Tensor
        Ends, of equal shape.
    nominal : Tensor, optional
        A point that goes through the network beside the box; batch norms in training mode take their statistics from it.
    affine : Affine, optional
        The linear layer that this is the output of.
    watch : Watch, optional
        Gets what is met on the way.
    summed : bool
        Whether this is the sum of two branches, perhaps normalised and activated.

    References
    ----------
    Gowal et al., "On the effectiveness of interval bound propagation for training verifiably robust models", 2018,
    arXiv 1810.12715.

    Examples
    --------
    >>> net = torch.nn.Linear(1, 1, bias=False)
    >>> _ = torch.nn.init.constant_(net.weight, -2.0)
    >>> found = net(Interval(torch.tensor([[0.0]]), torch.tensor([[1.0]])))
    >>> float(found.lower), float(found.upper)
    (-2.0, 0.0)
    """

    def __init__(
        self,
        lower: Tensor,
        upper: Tensor,
        nominal: Tensor | None = None,
        *,
        affine: Affine | None = None,
        watch: Watch | None = None,
        summed: bool = False,
    ) -> None:
        if lower.shape != upper.shape or (nominal is not None and nominal.shape != lower.shape):
            raise BoundError(f"ends of an interval must be of one shape, got {lower.shape} and {upper.shape}.")
        self.lower, self.upper, self.nominal = lower, upper, nominal
        self.affine, self.watch, self.summed = affine, watch, summed

    # ------------------------------------------------------------------ what networks ask of a tensor
    @property
    def centre(self) -> Tensor:
        """Middle of the box."""
        return (self.lower + self.upper) / 2

    @property
    def radius(self) -> Tensor:
        """Half of the box's sides."""
        return (self.upper - self.lower) / 2

    @property
    def shape(self) -> torch.Size:
        """Shape of either end."""
        return self.lower.shape

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self.lower.ndim

    @property
    def dtype(self) -> torch.dtype:
        """Number format of either end."""
        return self.lower.dtype

    @property
    def device(self) -> torch.device:
        """Device of either end."""
        return self.lower.device

    def dim(self) -> int:
        """Count the axes.

        Returns
        -------
        int
            Their number.
        """
        return self.lower.dim()

    def numel(self) -> int:
        """Count the entries.

        Returns
        -------
        int
            Their number.
        """
        return self.lower.numel()

    def size(self, dim: int | None = None) -> torch.Size | int:
        """Tell the shape, or the length of one axis.

        Parameters
        ----------
        dim : int, optional
            The axis.

        Returns
        -------
        torch.Size or int
            As `torch.Tensor.size`.
        """
        return self.lower.shape if dim is None else self.lower.shape[dim]

    def __getattr__(self, name: str) -> Function:
        if name.startswith("__") or not callable(function := getattr(torch.Tensor, name, None)):
            raise AttributeError(f"an interval has no attribute {name!r}")
        return lambda *args, **kwargs: propagate(function, (self, *args), kwargs)

    def __bool__(self) -> bool:
        raise BoundError(
            "the network decides by the values of a tensor, for which no interval bound is known.",
            hint="Certified accuracy needs a network whose operators do not depend on the image.",
        )

    def __add__(self, other: object) -> Interval:
        return one(torch.Tensor.add, self, other)

    __radd__ = __add__

    def __iadd__(self, other: object) -> Interval:
        return one(torch.Tensor.add_, self, other)

    def __sub__(self, other: object) -> Interval:
        return one(torch.Tensor.sub, self, other)

    def __rsub__(self, other: object) -> Interval:
        return one(torch.Tensor.add, -self, other)

    def __mul__(self, other: object) -> Interval:
        return one(torch.Tensor.mul, self, other)

    __rmul__ = __mul__

    def __imul__(self, other: object) -> Interval:
        return one(torch.Tensor.mul_, self, other)

    def __truediv__(self, other: object) -> Interval:
        return one(torch.Tensor.div, self, other)

    def __neg__(self) -> Interval:
        return one(torch.Tensor.neg, self)

    def __matmul__(self, other: object) -> Interval:
        return one(torch.Tensor.matmul, self, other)

    def __getitem__(self, index: object) -> Interval:
        return one(torch.Tensor.__getitem__, self, index)

    @classmethod
    def __torch_function__(
        cls,
        func: Function,
        types: Iterable[type],
        args: Arguments = (),
        kwargs: Named | None = None,
    ) -> Interval | list[Interval]:
        return propagate(func, args, kwargs)


def propagate(function: Function, args: Arguments, kwargs: Named | None = None) -> Interval | list[Interval]:
    """Bound one function of torch.

    Parameters
    ----------
    function : callable
        The function that the network calls.
    args : tuple
        Its arguments, some of them intervals.
    kwargs : mapping, optional
        Its named arguments.

    Returns
    -------
    Interval or list of Interval
        What contains its outputs.

    Raises
    ------
    BoundError
        If no rule is known for it, or not for these arguments; the message names it.
    """
    named = dict(kwargs or {})
    called, changes = function, function in IN_PLACE or bool(named.get("inplace"))
    function = IN_PLACE.get(function, function)
    if named.pop("inplace", None):
        named["inplace"] = False
    rule = RULES.get(function)
    if rule is None:
        raise refused(called)
    inputs = [*intervals((args, named))]
    if changes and not isinstance(args[0], Interval):
        raise refused(called, "changes a tensor in place into an interval")
    if named.get("out") is not None:
        raise refused(called, "writes into a tensor")
    first = inputs[0]
    if first.watch is not None and function in ACTIVATIONS:
        first.watch.activations.append((first.lower, first.upper))
    found = rule(function, args, named)
    nominal = None
    if all(x.nominal is not None for x in inputs):
        nominal = function(*picked(args, "nominal"), **picked(named, "nominal"))
    layer = function in LAYERS
    summed = not layer and (any(x.summed for x in inputs) or (function in SUMS and len(inputs) > 1))

    def made(pair: Pair, point: Tensor | None) -> Interval:
        return Interval(*pair, point, watch=first.watch, summed=summed)

    if isinstance(found, list):
        points: Sequence[Tensor | None] = nominal if nominal is not None else [None] * len(found)
        return [made(pair, point) for pair, point in zip(found, points, strict=True)]
    out = made(found, nominal)
    if layer:
        _note_layer(first, out, args, named)
    return _written(args[0], out) if changes else out


def one(function: Function, *args: object) -> Interval:
    """Bound a function that has one output.

    Parameters
    ----------
    function : callable
        The function.
    *args : object
        Its arguments.

    Returns
    -------
    Interval
        As of `propagate`.
    """
    found = propagate(function, args)
    assert isinstance(found, Interval)
    return found


def _note_layer(x: Interval, out: Interval, args: Arguments, named: Named) -> None:
    """Remember the layer that an interval comes from."""
    weight, bias = argument(args, named, 1, "weight"), argument(args, named, 2, "bias")
    if x.watch is not None:
        x.watch.layers.append((weight, x.summed))
    if weight.ndim == 2 and x.ndim == 2:
        out.affine = Affine(x.centre, x.radius, weight, bias)


def _written(target: Interval, out: Interval) -> Interval:
    """Put a result where a function in place would have put it."""
    if torch.is_grad_enabled():
        target.lower, target.upper, target.nominal = out.lower, out.upper, out.nominal
    else:  # so that views of the same memory change too
        target.lower.copy_(out.lower)
        target.upper.copy_(out.upper)
        if target.nominal is not None and out.nominal is not None:
            target.nominal.copy_(out.nominal)
    target.affine, target.summed = out.affine, out.summed
    return target


# ---------------------------------------------------------------------- arguments
def argument(args: Arguments, named: Named, place: int, name: str, default: object = None) -> Any:
    """Get an argument that may be given by place or by name.

    Parameters
    ----------
    args, named : tuple, mapping
        The arguments.
    place : int
        Its place.
    name : str
        Its name.
    default : object
        What it is where it is not given.

    Returns
    -------
    object
        The argument.
    """
    return args[place] if len(args) > place else named.get(name, default)


def intervals(value: object) -> Iterable[Interval]:
    """List the intervals in arguments.

    Parameters
    ----------
    value : object
        Arguments, perhaps in lists and dictionaries.

    Yields
    ------
    Interval
        Each of them.
    """
    if isinstance(value, Interval):
        yield value
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from intervals(item)
    elif isinstance(value, dict):
        yield from intervals([*value.values()])


def picked(value: object, end: str) -> Any:
    """Replace the intervals in arguments by one of their ends.

    Parameters
    ----------
    value : object
        Arguments, perhaps in lists and dictionaries.
    end : {"lower", "upper", "nominal"}
        Which end.

    Returns
    -------
    object
        The arguments with tensors.
    """
    if isinstance(value, Interval):
        return getattr(value, end)
    if isinstance(value, (list, tuple)) and not isinstance(value, torch.Size):
        return type(value)(picked(item, end) for item in value)
    if isinstance(value, dict):
        return {k: picked(item, end) for k, item in value.items()}
    return value


def refused(function: object, why: str = "") -> BoundError:
    """Make the error of an operator that cannot be bounded.

    Parameters
    ----------
    function : callable
        The operator.
    why : str
        What about it, to follow its name; by default that no bound is known.

    Returns
    -------
    BoundError
        It names the operator.
    """
    name = getattr(function, "__name__", None) or str(function)
    return BoundError(
        f"the operator {name!r} {why or 'has no interval bound'}, so that the network's accuracy cannot be certified.",
        hint="Certified accuracy is for feed-forward image networks of convolutions, batch norms, piecewise smooth activations and pools.",
    )
