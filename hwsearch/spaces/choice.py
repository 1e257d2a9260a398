"""One gene of a search space: a name, its values, and when it matters."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwsearch._json import is_number
from hwsearch.errors import SpaceError

Value = int | float | str
#: values of a range, at most
MOST_STEPS = 1000


def _plain(name: str, value: Any) -> Value:
    """Return a value that JSON knows; numpy's scalars become Python's."""
    plain = value.item() if isinstance(value, np.generic) else value
    if not isinstance(plain, (int, float, str)) or (isinstance(plain, float) and not math.isfinite(plain)):
        raise SpaceError(
            f"choice {name!r}: {value!r} is no value of a gene.",
            hint="Values are whole numbers, finite numbers or text.",
        )
    return plain


@dataclass(frozen=True)
class When:
    """The condition under which a gene is active: another gene is active and has one of some values.

    Attributes
    ----------
    name : str
        The gene that decides; it must be an earlier choice of the space.
    values : tuple of int, float or str
        The values at which it switches the conditional gene on.

    Examples
    --------
    >>> from hwsearch.spaces import Choice, When
    >>> Choice("ks[3]", (3, 5, 7), When("depth", (4,))).when
    When(name='depth', values=(4,))
    """

    name: str
    values: tuple[Value, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", tuple(_plain(self.name, v) for v in self.values))


@dataclass(frozen=True)
class Choice:
    """An ordered, named set of discrete values: one gene of a search space.

    Attributes
    ----------
    name : str
        The field's name for the gene, e.g. ``ks[3]``.
    values : tuple of int, float or str
        At least one value, none twice; for an ordinal choice sorted from the cheapest to the dearest.
    when : When, optional
        The condition under which the gene is active; None means always.
    ordinal : bool
        Whether the order of `values` means size.

    Raises
    ------
    SpaceError
        If there is no value, one is not a number or text, one is listed twice, or the numbers of an ordinal choice are not ascending.

    Examples
    --------
    >>> from hwsearch.spaces import Choice
    >>> Choice("ks[0]", (3, 5, 7)).values
    (3, 5, 7)
    >>> Choice("act", ("relu", "swish"), ordinal=False).to_dict()
    {'name': 'act', 'values': ['relu', 'swish'], 'ordinal': False}
    """

    name: str
    values: tuple[Value, ...]
    when: When | None = None
    ordinal: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", tuple(_plain(self.name, v) for v in self.values))
        if not self.values:
            raise SpaceError(f"choice {self.name!r} has no values.")
        if len(set(self.values)) != len(self.values):
            raise SpaceError(f"choice {self.name!r} lists a value twice: {self.values}.")
        numbers = [v for v in self.values if isinstance(v, (int, float))]
        strange = [v for v in numbers if not isinstance(v, bool) and (not is_number(v) or abs(v) >= 2**63)]
        if strange:
            raise SpaceError(f"choice {self.name!r}: {str(strange[0])[:30]} is not a number of a gene.")
        if self.ordinal and len(numbers) == len(self.values) and numbers != sorted(numbers):
            raise SpaceError(
                f"choice {self.name!r}: the values {self.values} are not in ascending order.",
                hint="Sort them, or say ordinal=False.",
            )

    @classmethod
    def between(
        cls, name: str, low: float, high: float, steps: int = 32, *, log: bool = False, when: When | None = None
    ) -> Choice:
        """Make a gene of a range of numbers, as a grid: what Optuna's ``suggest_float`` draws from.

        Parameters
        ----------
        name : str
            Of the gene.
        low, high : float
            Ends of the range, both values of the gene; positive where `log` is set.
        steps : int
            How many values, rounded to six digits, 2 to 1,000.
        log : bool
            Space them evenly in the logarithm.
        when : When, optional
            The condition under which the gene is active.

        Returns
        -------
        Choice
            Ordinal, with values of type float.

        Raises
        ------
        SpaceError
            If the range is empty or not finite, is not positive with `log`, or is too narrow for so many values.

        Examples
        --------
        >>> Choice.between("lr", 1e-4, 1e-1, 4, log=True).values
        (0.0001, 0.001, 0.01, 0.1)
        """
        where = f"choice {name!r}: the range from {low!r} to {high!r}"
        if isinstance(steps, bool) or not isinstance(steps, int) or not 2 <= steps <= MOST_STEPS:
            raise SpaceError(f"choice {name!r} has {steps!r} steps.", hint=f"Give 2 to {MOST_STEPS}.")
        if not (is_number(low) and is_number(high) and math.isfinite(low) and math.isfinite(high) and low < high):
            raise SpaceError(f"{where} is empty or not finite.", hint="Give two finite numbers, the smaller first.")
        if log and low <= 0:
            raise SpaceError(f"{where} has no logarithm.", hint="Give positive numbers, or log=False.")
        grid = np.geomspace(low, high, steps) if log else np.linspace(low, high, steps)
        values = (float(low), *(float(f"{value:.6g}") for value in grid[1:-1]), float(high))
        if len(set(values)) < steps or list(values) != sorted(values):
            raise SpaceError(f"{where} is too narrow for {steps} values of six digits.", hint="Give fewer steps.")
        return cls(name, values, when)

    def to_dict(self) -> dict[str, Any]:
        """Describe the choice by values that JSON knows.

        Returns
        -------
        dict
            ``name`` and ``values``, with ``when`` and ``ordinal`` where they are not the default.
        """
        data: dict[str, Any] = {"name": self.name, "values": list(self.values)}
        if self.when is not None:
            data["when"] = {"name": self.when.name, "values": list(self.when.values)}
        if not self.ordinal:
            data["ordinal"] = False
        return data

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Choice:
        """Make the choice that `to_dict` described.

        Parameters
        ----------
        data : dict
            What `to_dict` gave.

        Returns
        -------
        Choice
            A choice equal to the one described.

        Raises
        ------
        SpaceError
            If the values do not make a choice.
        KeyError
            If a key is missing.
        """
        when = data.get("when")
        return cls(
            name=data["name"],
            values=tuple(data["values"]),
            when=When(when["name"], tuple(when["values"])) if when else None,
            ordinal=bool(data.get("ordinal", True)),
        )
