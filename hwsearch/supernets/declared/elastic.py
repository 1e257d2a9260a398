"""Any network as a supernet: its own module stays as it is, a short declaration says what may vary."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from hwsearch.errors import SupernetError
from hwsearch.supernets.declared.declaration import Declaration
from hwsearch.supernets.declared.module import ElasticModule
from hwsearch.supernets.declared.proof import prove


def elastic(
    model: nn.Module,
    declaration: Declaration,
    *,
    input_shape: tuple[int, ...] = (3, 224, 224),
    name: str | None = None,
    resolutions: Sequence[int] | None = None,
) -> ElasticModule:
    """A supernet of which `model` is the largest subnet.

    model : any network of one input that torch.fx can trace; it is copied, not changed
    declaration : names of modules → `Width`, `Depth` or `KernelSize`, or several of them. In names, each part between
        dots may have shell wildcards (``layer*.*.conv1``), and ``**`` stands for any number of parts
    input_shape : of one input, without the batch axis; where `resolutions` are given only its channels count
    name : of the search space; the model's class where none is given
    resolutions : sides of square images among which gene ``r`` chooses; None: the side is no choice

    Genes are ``r``, ``depth[module]``, ``kernel[module]`` and ``width[module]``; of several modules whose widths are
    tied, the first declared one gives the name. Raises `SupernetError` for a declaration that fits no module or
    cannot be carried out, with the module and the reason.
    """
    kinds = sorted({str(p.dtype).removeprefix("torch.") for p in model.parameters()} - {"float32"})
    if kinds:
        raise SupernetError(
            f"{name or type(model).__name__!r} has weights of type {', '.join(kinds)}.", hint="Give it in float32."
        )
    net = ElasticModule(model, declaration, input_shape=input_shape, name=name, resolutions=resolutions)
    prove(net, model)
    return net
