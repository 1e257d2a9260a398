"""Which architectures execute all kernels that a search space can ask for, and how many kernels a set of them has missed."""

from __future__ import annotations

import heapq
import itertools
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

from hwsearch.spaces import Architecture, SearchSpace

#: most architectures of a covering set, those drawn to see what it has missed
COVERING, DRAWN = 200, 100


#: values of all genes of a space above which a covering set holds pairs, not triples
WIDEST = 400


# ---------------------------------------------------------------------- what a space can ask for
def covering_set(
    space: SearchSpace, rng: np.random.Generator, *, limit: int = COVERING, pool: int = 1000
) -> list[Architecture]:
    """Choose architectures that hold, together, the combinations of any three gene values that occur in the space.

    A covering array of strength three (two in spaces of more than `WIDEST` values, the whole of small ones), chosen greedily
    from random candidates, the extremes first. A kernel's shapes depend on few genes (input size, expansion and kernel of one
    layer, the depth that switches it on), so few are missed; what is left out when `limit` ends are combinations of the last
    ones, each in one candidate.

    Parameters
    ----------
    space : SearchSpace
        Whose combinations are covered.
    rng : numpy.random.Generator
        Draws the candidates.
    limit : int
        Most architectures.
    pool : int
        Candidates that are drawn.

    Returns
    -------
    list of Architecture
        Distinct, the most telling first.

    References
    ----------
    Cohen, Dalal, Fredman and Patton (1997), "The AETG system", doi 10.1109/32.605761.
    """
    if space.cardinality <= limit:
        return list(space.enumerate())
    rows = np.unique(np.concatenate([_ends(space), _candidates(space, pool, rng)]), axis=0)
    first = {tuple(r) for r in _ends(space)}
    offsets = np.concatenate([[0], np.cumsum(space.sizes)[:-1]])
    width = int(space.sizes.sum())
    strength = min(len(space.sizes), 3 if width <= WIDEST else 2)
    genes = np.array(list(itertools.combinations(range(len(space.sizes)), strength)))
    place = width ** np.arange(strength)

    def combinations(row: NDArray[np.int64]) -> NDArray[np.int64]:
        chosen = row[genes]
        return np.asarray(((chosen + offsets[genes]) @ place)[(chosen >= 0).all(axis=1)])

    covered = np.zeros(width**strength, dtype=bool)
    taken: list[int] = []

    def take(k: int) -> None:
        covered[combinations(rows[k])] = True
        taken.append(k)

    for k, row in enumerate(rows):
        if tuple(row) in first:
            take(k)
    # a gain can only shrink, so an old one is a bound (lazy greedy, Minoux 1978)
    heap = [(-len(genes), k) for k in range(len(rows)) if k not in taken]
    heapq.heapify(heap)
    while heap and len(taken) < limit:
        _, k = heapq.heappop(heap)
        gain = int((~covered[combinations(rows[k])]).sum())
        if not gain:
            continue
        if heap and gain < -heap[0][0]:
            heapq.heappush(heap, (-gain, k))
        else:
            take(k)
    return space.from_array(rows[taken])


def _ends(space: SearchSpace) -> NDArray[np.int64]:
    return space.canonical(np.stack([np.zeros_like(space.sizes), space.sizes - 1]))


def _candidates(space: SearchSpace, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Half with uniform genes; half with parents of conditional genes at later values, which as a rule switch more on."""
    rows = rng.integers(0, space.sizes, size=(n, len(space.sizes)))
    parents = [i for i, name in enumerate(space.names) if any(c.when and c.when.name == name for c in space.choices)]
    for i in parents:
        rows[n // 2 :, i] = np.maximum(rows[n // 2 :, i], rng.integers(0, space.sizes[i], size=n - n // 2))
    return space.canonical(rows)


@dataclass(frozen=True)
class Uncovered:
    """Signatures that architectures drawn at random ask for and a table does not have.

    Attributes
    ----------
    drawn, with_unknown : int
        Architectures, and those with a signature that is not in the table.
    unknown : int
        Such signatures.
    share_high : float
        Upper 95 % confidence limit of the share of architectures with one (Clopper and Pearson 1934).
    expected_new : float
        Signatures that one more architecture would add, once those found are added (Good 1953, after Turing).
    """

    drawn: int
    with_unknown: int
    unknown: int
    share_high: float
    expected_new: float


def uncovered(known: Iterable[str], drawn: Sequence[Mapping[str, int]]) -> Uncovered:
    """Estimate what a table of signatures lacks.

    Parameters
    ----------
    known : iterable of str
        Ids of the signatures in the table.
    drawn : sequence of mapping
        Of independent uniform architectures: how often each executes a signature, by id.

    Returns
    -------
    Uncovered
        The estimate.

    Examples
    --------
    >>> uncovered({"a"}, [{"a": 2}, {"a": 1, "b": 1}]).expected_new
    0.5
    """
    have = set(known)
    times = Counter(s for counts in drawn for s in counts if s not in have)
    n, wrong = len(drawn), sum(any(s not in have for s in counts) for counts in drawn)
    high = 1.0 if wrong == n else float(beta.ppf(0.95, wrong + 1, n - wrong))
    once = sum(t == 1 for t in times.values())
    return Uncovered(n, wrong, len(times), high, once / n if n else math.inf)


def choose(counts: Mapping[str, Mapping[str, int]], missing: Iterable[str], *, times: int = 2) -> list[str]:
    """Choose few architectures in which every missing signature occurs, by greedy set cover.

    Parameters
    ----------
    counts : mapping of str to mapping
        By architecture id, how often it executes each signature.
    missing : iterable of str
        Ids of the signatures to be covered.
    times : int
        In so many architectures each, where so many have it.

    Returns
    -------
    list of str
        Architecture ids; at most ln(n) + 1 times as many as the fewest possible (Chvátal 1979).
    """
    have = Counter(s for found in counts.values() for s in found)
    left = {s: min(times, have[s]) for s in missing if have[s]}
    free = dict.fromkeys(sorted(counts))
    taken: list[str] = []
    while any(left.values()):
        best = max(free, key=lambda a: sum(left.get(s, 0) > 0 for s in counts[a]))
        del free[best]
        taken.append(best)
        for s in counts[best]:
            if left.get(s, 0) > 0:
                left[s] -= 1
    return taken
