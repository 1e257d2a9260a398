"""Any network as a supernet: the network stays as it is, a short declaration says what may vary.

    net = elastic(
        resnet18,
        {"layer*.*.conv1": Width((0.25, 0.5, 1.0)), "layer[34]": Depth((1, 2))},
        input_shape=(3, 32, 32),
        resolutions=(24, 32),
        name="my-resnet18",
    )

A width is shared by everything that is tied to it (residual adds, norms, depth-wise convolutions, gates); what is
tied is found in a torch.fx trace (`hwsearch.supernets.declared.tracing`). The slices are those of Once-for-All (Cai,
Gan, Wang, Zhang, Han, 2020, arXiv 1908.09791) and slimmable networks (Yu et al., 2019, arXiv 1812.08928): the first
channels, the first blocks, the centre of the kernel. For campaigns, a `SupernetEntry(name=…, build=lambda:
elastic(…), …)` takes it like any other supernet.
"""

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
    """Make a supernet of which a given network is the largest subnet.

    Genes are ``r``, ``depth[module]``, ``kernel[module]`` and ``width[module]``; of several modules whose widths are
    tied, the first declared one gives the name.

    Parameters
    ----------
    model : nn.Module
        Any float32 network of one input that torch.fx can trace; it is copied, not changed.
    declaration : mapping
        Names of modules → `Width`, `Depth` or `KernelSize`, or several of them. In names, each part between dots may
        have shell wildcards (``layer*.*.conv1``), and ``**`` stands for any number of parts.
    input_shape : tuple of int, default (3, 224, 224)
        Shape of one input, without the batch axis; where `resolutions` are given only its channels count.
    name : str, optional
        Name of the search space; by default the model's class.
    resolutions : sequence of int, optional
        Sides of square images among which gene ``r`` chooses; by default the side is no choice.

    Returns
    -------
    ElasticModule
        The supernet, proved on random weights to compute what the network does.

    Raises
    ------
    SupernetError
        If the declaration fits no module or cannot be carried out; with the module and the reason.

    Examples
    --------
    >>> model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2))
    >>> from hwsearch.supernets.declared import Width
    >>> net = elastic(model, {"0": Width((0.5, 1.0))}, input_shape=(4,), name="mlp")
    >>> net.space.names, net.params(net.space.smallest())
    (('width[0]',), 58)
    """
    kinds = sorted({str(p.dtype).removeprefix("torch.") for p in model.parameters()} - {"float32"})
    if kinds:
        raise SupernetError(
            f"{name or type(model).__name__!r} has weights of type {', '.join(kinds)}.", hint="Give it in float32."
        )
    net = ElasticModule(model, declaration, input_shape=input_shape, name=name, resolutions=resolutions)
    prove(net, model)
    return net
