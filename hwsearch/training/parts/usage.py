"""Which entries of the shared weights a subnet uses, seen from the gradients of a few examples."""

from __future__ import annotations

import numpy as np

from hwsearch._typing import IntArray
from hwsearch.supernets.base import Supernet
from hwsearch.tasks.data import forward
from hwsearch.training.parts.run import Run

#: examples whose gradients are looked at, by default
EXAMPLES = 32
#: a gene changes the use of a weight if the numbers of used entries differ by so much; dead units make small differences
LESS = 0.2


def entries_used(run: Run, row: IntArray, net: Supernet | None = None, examples: int = EXAMPLES) -> dict[str, int]:
    """Count the entries of each parameter that get a gradient.

    Parameters
    ----------
    run : Run
        The run.
    row : IntArray
        Row of genes of the subnet, shape ``(genes,)``.
    net : Supernet, optional
        The supernet, by default that of the run, in training mode: with the statistics of the batch few units are dead. Its
        running statistics move, and its gradients are left.
    examples : int
        How many examples.

    Returns
    -------
    dict of str to int
        Name → entries that are not zero in the gradient; parameters without a gradient are left out.
    """
    net = run.supernet if net is None else net
    n = min(examples, len(run.data))
    net.zero_grad(set_to_none=True)
    (arch,) = run.space.from_array(row[None])
    net.activate(arch)
    inputs, targets = run.examples(np.arange(n), net.input_size(arch))
    run.task.loss(forward(net, inputs), targets).backward()  # type: ignore[no-untyped-call]
    return {name: int(p.grad.count_nonzero()) for name, p in net.named_parameters() if p.grad is not None}
