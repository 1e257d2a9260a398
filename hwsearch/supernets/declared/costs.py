"""Costs of declared networks as sums of products, so that no architecture needs a forward pass."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from hwsearch._typing import FloatArray, IntArray
from hwsearch.spaces import SearchSpace
from hwsearch.supernets.declared.channel_groups import NetworkTrace
from hwsearch.supernets.declared.conditions import Conditions, conditions_of
from hwsearch.supernets.declared.depths import DepthSpan
from hwsearch.supernets.declared.matching import is_inside
from hwsearch.supernets.layers.sliced.tensors import Axes


@dataclass
class CostTable:
    """A sum of products of genes' amounts, each counted where a condition holds.

    Of several conditions the innermost is enough: its gene is active only where the outer ones hold.

    Attributes
    ----------
    terms : dict
        (conditions, genes) → coefficient of the product of the genes' amounts: one number, or one for each
        resolution.
    """

    terms: dict[tuple[Conditions, tuple[str, ...]], FloatArray] = field(default_factory=dict)

    def add(self, when: Conditions, factors: tuple[str, ...], amount: FloatArray | float) -> None:
        """Add a term.

        Parameters
        ----------
        when : tuple of (str, int)
            Conditions under which it counts.
        factors : tuple of str
            Genes whose amounts it is multiplied by.
        amount : float or ndarray
            Coefficient; of shape (resolutions,) where it depends on the resolution.
        """
        key = (when[-1:], tuple(sorted(factors)))
        self.terms[key] = self.terms.get(key, 0.0) + np.atleast_1d(np.asarray(amount, np.float64))


class NetworkCosts:
    """MACs, parameters and activations of a declared network, from the traced costs of the largest one.

    Parameters
    ----------
    found : NetworkTrace
        The trace of the largest network.
    spans : sequence of DepthSpan
        Declared depths.
    roles : mapping
        Elastic layer → the part that each axis of its tensors plays.
    axes : mapping
        Layer → (gene of its input width, gene of its output width), None where it is fixed.
    counts : mapping
        Gene of a width → {share: channels}.
    kernels : mapping
        Convolution → sides of its kernel.
    parameters : mapping
        Name of a parameter → its number of elements in the largest network.
    """

    def __init__(
        self,
        found: NetworkTrace,
        spans: Sequence[DepthSpan],
        roles: Mapping[str, Axes],
        axes: Mapping[str, tuple[str | None, str | None]],
        counts: Mapping[str, Mapping[float, int]],
        kernels: Mapping[str, tuple[int, ...]],
        parameters: Mapping[str, int],
    ) -> None:
        self._spans, self._axes, self._kernels = spans, axes, kernels
        self._amounts = {g: np.array(list(c.values()), np.float64) for g, c in counts.items()}
        self._amounts |= {f"kernel[{n}]": np.array(k, np.float64) ** 2 for n, k in kernels.items()}
        self._macs: dict[str, CostTable] = {}
        self._activations: dict[str, CostTable] = {}
        self._params = CostTable()
        for call in found.calls:
            stage, when = self._stage(call.scope), conditions_of(spans, call.scope)
            elastic = call.layer in roles
            factors = self._factors(call.layer, roles[call.layer]["weight"]) if elastic else ()
            out = tuple(g for g in (axes[call.layer][1],) if g) if elastic else ()
            macs, acts = np.array(call.macs[::-1]), np.array(call.outputs[::-1])
            self._macs.setdefault(stage, CostTable()).add(when, factors, macs / self._whole(factors))
            self._activations.setdefault(stage, CostTable()).add(when, out, acts / self._whole(out))
        for name, elements in parameters.items():
            owner, _, tensor = name.rpartition(".")
            factors = self._factors(owner, roles[owner][tensor]) if owner in roles else ()
            self._params.add(conditions_of(spans, name), factors, elements / self._whole(factors))

    def _whole(self, factors: Iterable[str]) -> float:
        """Multiply the genes' amounts at full size."""
        return math.prod(float(self._amounts[f][-1]) for f in factors)

    def _factors(self, layer: str, roles: tuple[str | None, ...]) -> tuple[str, ...]:
        """List the genes that a tensor's size is proportional to."""
        ins, out = self._axes[layer]
        genes = [ins if role == "in" else out for role in roles if role]
        kernel = [f"kernel[{layer}]"] if layer in self._kernels and len(roles) > 1 else []
        return tuple(g for g in (*genes, *kernel) if g)

    def _stage(self, scope: str) -> str:
        """Name the stage of a scope: the outermost declared depth, or the network's child."""
        for span in self._spans:
            if any(is_inside(scope, span.child(p)) for p in range(span.first, span.last + 1)):
                return span.label
        return scope.partition(".")[0] or "forward"

    def _sum(self, costs: CostTable, space: SearchSpace, rows: IntArray) -> FloatArray:
        """Sum all terms for canonical rows (n, genes)."""
        column = {n: rows[:, i] for i, n in enumerate(space.names)}
        total = np.zeros(len(rows))
        for (when, factors), amount in costs.terms.items():
            term = amount[column["r"]] if len(amount) > 1 else amount
            for gene in factors:
                term = term * self._amounts[gene][column[gene]]
            total += np.where(column[when[0][0]] >= when[0][1], term, 0.0) if when else term
        return total

    def macs(self, space: SearchSpace, rows: IntArray) -> FloatArray:
        """Count multiply-accumulates.

        Parameters
        ----------
        space : SearchSpace
            The search space.
        rows : ndarray
            Architectures in canonical form, of shape (n, genes).

        Returns
        -------
        ndarray
            MACs of one input, of shape (n,).
        """
        return sum((self._sum(c, space, rows) for c in self._macs.values()), np.zeros(len(rows)))

    def params(self, space: SearchSpace, rows: IntArray) -> FloatArray:
        """Count parameters of the extracted subnets.

        Parameters
        ----------
        space : SearchSpace
            The search space.
        rows : ndarray
            Architectures in canonical form, of shape (n, genes).

        Returns
        -------
        ndarray
            Number of parameters, of shape (n,).
        """
        return self._sum(self._params, space, rows)

    def features(self, space: SearchSpace, rows: IntArray) -> dict[str, FloatArray]:
        """Compute all costs, whole and by stage.

        Parameters
        ----------
        space : SearchSpace
            The search space.
        rows : ndarray
            Architectures in canonical form, of shape (n, genes).

        Returns
        -------
        dict
            ``params``, ``macs``, ``macs_<stage>``, ``activations`` and ``activations_<stage>``; (n,) each.
        """
        out: dict[str, FloatArray] = {"params": self.params(space, rows)}
        for kind, table in (("macs", self._macs), ("activations", self._activations)):
            stages = {f"{kind}_{stage}": self._sum(costs, space, rows) for stage, costs in table.items()}
            out |= {kind: sum(stages.values(), np.zeros(len(rows))), **stages}
        return out
