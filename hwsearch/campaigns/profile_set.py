"""The subnets that are measured before the search, and how they are chosen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from hwsearch._typing import FloatArray, IntArray
from hwsearch.campaigns.search_config import ProfileConfig
from hwsearch.spaces import Architecture, SearchSpace


class ProfileSet(NamedTuple):
    """The subnets that are measured before the search.

    Attributes
    ----------
    timed : list of Architecture
        All of them; each is timed on every device.
    evaluated : list of Architecture
        Those that are also scored, the smallest and the largest among them.
    random : list of Architecture
        Those of the evaluated that are drawn at random, the baseline in the plots.
    """

    timed: list[Architecture]
    evaluated: list[Architecture]
    random: list[Architecture]


def choose_profile(
    config: ProfileConfig,
    space: SearchSpace,
    cost: Callable[[IntArray], FloatArray],
    rng: np.random.Generator,
    starting: Sequence[Architecture] = (),
) -> ProfileSet:
    """Choose the subnets of the profile: spread evenly over a cost, and some at random.

    Parameters
    ----------
    config : ProfileConfig
        How many (``[profile]``).
    space : SearchSpace
        What they are drawn from.
    cost : callable
        Maps rows ``(n, genes)`` to the costs ``(n,)`` that are spread over, such as MACs.
    rng : numpy.random.Generator
        Source of randomness.
    starting : sequence of Architecture
        Subnets to be measured in any case, besides those of `config`.

    Returns
    -------
    ProfileSet
        The same for equal arguments.
    """
    n_random = min(config.random, max(0, space.cardinality - 2))
    balanced = space.sample_balanced(config.latency - n_random, rng, cost)
    random = space.sample(n_random, rng, exclude=balanced)
    evaluated = balanced[: config.accuracy - len(random)] + random
    more = [a for a in dict.fromkeys(starting) if a not in evaluated]
    return ProfileSet([*balanced, *random, *(a for a in more if a not in balanced)], evaluated + more, random)
