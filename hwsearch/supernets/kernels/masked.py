"""Training at full width with masks as data: one graph a resolution, which a GPU can replay for every subnet.

On a GPU a step of a supernet is bound by the launches of its small kernels. A recorded graph launches them all at once, but
has fixed shapes, and subnets have not. Here every subnet has the shapes of the largest: weights stay at full width, and what a
subnet leaves out is multiplied by zero. Masks are one vector, so that a subnet is one small copy to the GPU.
"""

from __future__ import annotations

import itertools
import types
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch import Tensor, nn
from typing_extensions import override

from hwsearch.supernets.kernels.eager import Kernels

Plan = TypeVar("Plan")
PlanIn = TypeVar("PlanIn", contravariant=True)
#: maps images of shape (N, 3, H, W) and masks of shape (masks,) to logits
Forward = Callable[[Tensor, Tensor], Tensor]
#: passes before a CUDA graph is captured: cuDNN chooses its algorithms in the first
WARM_UP = 3

_numbers = itertools.count()


class MaskLayout:
    """Places of named masks in one vector; each mask leaves the first entries of its part on.

    Examples
    --------
    >>> layout = MaskLayout()
    >>> layout.add("width", 4)
    >>> layout.add("block", 1)
    >>> layout.vector({"width": 3, "block": 0})
    tensor([1., 1., 1., 0., 0.])
    """

    def __init__(self) -> None:
        self._places: dict[str, slice] = {}
        self.size = 0

    def add(self, name: str, size: int) -> None:
        """Add a mask behind the others.

        Parameters
        ----------
        name : str
            Its name.
        size : int
            Entries; one for a gate.
        """
        self._places[name] = slice(self.size, self.size + size)
        self.size += size

    def vector(self, counts: Mapping[str, int]) -> Tensor:
        """Make the masks of a subnet.

        Parameters
        ----------
        counts : mapping of str to int
            How many of the first entries of each mask are on; none of those that are missing.

        Returns
        -------
        Tensor
            Zeros and ones of shape (size,), on the processor.
        """
        masks = torch.zeros(self.size)
        for name, count in counts.items():
            place = self._places[name]
            masks[place.start : place.start + count] = 1.0
        return masks

    def view(self, masks: Tensor, name: str) -> Tensor:
        """Return one mask.

        Parameters
        ----------
        masks : Tensor
            All of a subnet, of shape (size,).
        name : str
            Which.

        Returns
        -------
        Tensor
            View of the mask's entries.
        """
        return masks[self._places[name]]


class MaskedForm(Protocol[PlanIn]):
    """A supernet that can run at full width.

    Attributes
    ----------
    net : nn.Module
        The supernet; its own layers, weights and statistics are used.
    layout : MaskLayout
        Its masks.
    """

    net: nn.Module
    layout: MaskLayout

    def counts(self, plan: PlanIn) -> dict[str, int]:
        """Count the entries of each mask that a subnet leaves on.

        Parameters
        ----------
        plan : object
            The subnet, as the supernet resolves it.

        Returns
        -------
        dict of str to int
            As `MaskLayout.vector` takes them.
        """
        ...

    def unused(self, plan: PlanIn) -> Iterable[nn.Parameter]:
        """List parameters that the subnet does not touch at all, and that have no gradient of it.

        Parameters
        ----------
        plan : object
            The subnet.

        Returns
        -------
        iterable of nn.Parameter
            The parameters.
        """
        ...

    def forward(self, x_NCHW: Tensor, masks: Tensor) -> Tensor:
        """Compute logits in training mode at full width; its graph must not depend on the subnet.

        Parameters
        ----------
        x_NCHW : Tensor
            Images of shape (N, 3, H, W).
        masks : Tensor
            Of shape (size,).

        Returns
        -------
        Tensor
            Logits of shape (N, classes).
        """
        ...


class MaskedKernels(Kernels):
    """Full width, masks as data; the layers of a subnet are those of the whole supernet, for families that have such a form.

    Outputs, gradients and running statistics are those of slices, up to rounding. A pass costs what one of the largest subnet
    costs (of the embedded supernet 2.2 times as many multiplications as subnets on average): without a GPU that is slower than
    slices. Other families compute eagerly.

    Parameters
    ----------
    backend : str or callable, optional
        Compiles the graph of each resolution by `torch.compile` with this backend; by default it is not compiled.
    graphs : bool, optional
        Whether CUDA graphs are captured, one a resolution; by default for networks on a GPU. Outputs are copies.

    Notes
    -----
    With CUDA graphs the graph holds all kernels of a pass and of its backward pass. Each pass must be followed by its backward pass
    before the next one of the same shape.
    """

    name = "masked"

    def __init__(self, backend: str | Callable[..., Any] | None = None, *, graphs: bool | None = None) -> None:
        self.used = False
        self._backend, self._graphs = backend, graphs
        self._runner: _Runner[Any] | None = None

    @property
    def shapes(self) -> int:
        """Number of shapes of images that there is a graph for."""
        return 0 if self._runner is None else len(self._runner.forwards)

    def run(self, net: nn.Module, form: Callable[[Any], MaskedForm[Plan]], plan: Plan, x_NCHW: Tensor) -> Tensor:
        """Run a subnet of a supernet in training mode.

        Parameters
        ----------
        net : nn.Module
            The supernet.
        form : callable
            Makes its form for full width; called once for each supernet.
        plan : object
            The subnet, as that form takes it.
        x_NCHW : Tensor
            Images of shape (N, 3, H, W).

        Returns
        -------
        Tensor
            Logits of shape (N, classes).
        """
        self.used = True
        if self._runner is None or self._runner.form.net is not net:
            self._runner = _Runner(form(net), self._backend, self._graphs)
        return self._runner(plan, x_NCHW)


class _Runner(Generic[Plan]):
    """Graphs of one supernet by the shape and type of images."""

    def __init__(self, form: MaskedForm[Plan], backend: str | Callable[..., Any] | None, graphs: bool | None) -> None:
        self.form, self._backend, self._graphs = form, backend, graphs
        self.forwards: dict[tuple[Any, ...], Forward] = {}
        self._fresh: set[Tensor] = set()
        self._without: set[Tensor] = set()
        self._hooked: set[Tensor] = set()
        self._pool: Any = None

    def __call__(self, plan: Plan, x: Tensor) -> Tensor:
        masks = self.form.layout.vector(self.form.counts(plan))
        masks = (masks.pin_memory() if x.device.type == "cuda" else masks).to(x.device, non_blocking=True)
        key = (
            x.shape,
            x.stride(),
            x.dtype,
            x.device,
            torch.is_autocast_enabled(x.device.type),
            torch.is_grad_enabled(),
        )
        if key not in self.forwards:
            self.forwards[key] = self._made(x, masks)
        logits = self.forwards[key](x, masks)
        if logits.requires_grad:
            self._watch(logits, plan)
        return logits

    def _made(self, x: Tensor, masks: Tensor) -> Forward:
        forward: Forward = self.form.forward
        if self._backend is not None:
            forward = _compiled(forward, self._backend)
        graphs = x.device.type == "cuda" if self._graphs is None else self._graphs
        return self._captured(forward, x, masks) if graphs and torch.is_grad_enabled() else forward

    def _captured(self, forward: Forward, x: Tensor, masks: Tensor) -> Forward:
        """Capture a CUDA graph; the passes before it leave no trace in running statistics."""
        net = self.form.net
        if self._pool is None:
            self._pool = torch.cuda.graph_pool_handle()
        before = {name: buffer.clone() for name, buffer in net.named_buffers()}
        part = _Part(net, forward)
        inputs = (x.detach().clone(memory_format=torch.preserve_format), masks.clone())
        cached = torch.is_autocast_cache_enabled()
        torch.set_autocast_cache_enabled(False)  # a graph must cast its weights itself
        try:
            captured: Any = torch.cuda.make_graphed_callables(
                part, inputs, num_warmup_iters=WARM_UP, allow_unused_input=True, pool=self._pool
            )
        finally:
            torch.set_autocast_cache_enabled(cached)
        with torch.no_grad():
            for name, buffer in net.named_buffers():
                buffer.copy_(before[name])
        return lambda x, masks: captured(x, masks).clone()  # the next replay writes over what the graph holds

    def _watch(self, logits: Tensor, plan: Plan) -> None:
        """Correct gradients of parameters while the backward pass of these logits is under way, and only then."""
        for parameter in self.form.net.parameters():
            if parameter.requires_grad and parameter not in self._hooked:
                parameter.register_post_accumulate_grad_hook(self._accumulated)
                self._hooked.add(parameter)
        unused = set(self.form.unused(plan))

        def begin(_: Tensor) -> None:
            self._fresh = {p for p in self._hooked if p.grad is None}
            self._without = self._fresh.intersection(unused)
            torch.autograd.Variable._execution_engine.queue_callback(self._end)  # type: ignore[attr-defined]

        logits.register_hook(begin)  # type: ignore[no-untyped-call]

    def _end(self) -> None:
        self._fresh, self._without = set(), set()

    def _accumulated(self, parameter: Tensor) -> None:
        gradient = parameter.grad
        if parameter in self._without:
            # an optimiser passes over a parameter without gradient; one of zeros would let it decay
            parameter.grad = None
        elif self._pool is not None and parameter in self._fresh and isinstance(gradient, Tensor):
            # the first gradient may be the graph's own memory, which its next replay writes over
            parameter.grad = gradient.clone()


class _Part(nn.Module):
    """A function of a network as a module, as CUDA graphs of training take it."""

    def __init__(self, net: nn.Module, forward: Forward) -> None:
        super().__init__()
        self.net, self._forward = net, forward
        self.train(net.training)

    @override
    def forward(self, x: Tensor, masks: Tensor) -> Tensor:
        return self._forward(x, masks)


def _compiled(forward: Forward, backend: str | Callable[..., Any]) -> Forward:
    """Compile by a function with code of its own: torch keeps few graphs for one code object."""

    def call(x: Tensor, masks: Tensor) -> Tensor:
        return forward(x, masks)

    code = call.__code__.replace(co_name=f"masked_{next(_numbers)}")
    own = types.FunctionType(code, call.__globals__, code.co_name, call.__defaults__, call.__closure__)
    return torch.compile(own, fullgraph=True, dynamic=False, backend=backend)
