"""The tasks of the search benchmark: published accuracies and latencies, and the noise of measuring them.

- ``ofa/DEVICE``: Once-for-All MobileNetV3, width 1.0, 224 px (Cai et al. 2020, arXiv 1908.09791). Accuracy and latency are
  surrogates fitted on measured rows; their errors are stated by `Task.facts`.
- ``ofa/macs``: the same accuracy against millions of multiply-accumulates, which the rows determine; the reference, 70 %
  and 600 million, is that of the hypervolumes in `benchmarks.search_replicas`. ``ofa-unmasked/macs``: genes of layers that are
  switched off stay in the genotype, as DyNAS-T has it.
- ``ofa-exact/DEVICE``: the same without noise.
- ``nb201/DEVICE``: NAS-Bench-201 (Dong and Yang 2020, arXiv 2001.00326), CIFAR-100 after 200 epochs, measured latencies.
- ``nb201-exact/DATASET``, ``nb201-noisy/DATASET``: the accuracy alone, as tabled or with the noise of a training.

``NAME#300`` is the task cut down to a table of 300 of its architectures.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial

import numpy as np

from benchmarks.search_nb201 import nb201_single_task, nb201_task
from benchmarks.search_ofa import ofa_task
from benchmarks.search_task import Task, cut_down
from hwsearch.spaces import SearchSpace


def load(name: str) -> Task:
    """Return the task of a name, the same object each time. Raises KeyError for an unknown one."""
    return _load(name)


@cache
def _load(name: str) -> Task:
    whole, _, size = name.partition("#")
    if size:
        return cut_down(load(whole), int(size))
    family, _, what = whole.partition("/")
    make: dict[str, Callable[[str, str], Task]] = {
        "ofa": ofa_task,
        "ofa-unmasked": _unmasked,
        "ofa-exact": _exact,
        "nb201": nb201_task,
        "nb201-exact": partial(nb201_single_task, noisy=False),
        "nb201-noisy": partial(nb201_single_task, noisy=True),
    }
    return make[family](whole, what)


def _exact(name: str, what: str) -> Task:
    task = load(f"ofa/{what}")
    return replace(task, name=name, spread=lambda rows: np.zeros((len(rows), len(task.objectives))))


def _unmasked(name: str, what: str) -> Task:
    task = load(f"ofa/{what}")
    masked = task.space
    space = SearchSpace(f"{masked.name}-unmasked", [replace(choice, when=None) for choice in masked.choices])
    return replace(
        task,
        name=name,
        space=space,
        true=lambda rows: task.true(masked.canonical(rows)),
        spread=lambda rows: task.spread(masked.canonical(rows)),
    )
