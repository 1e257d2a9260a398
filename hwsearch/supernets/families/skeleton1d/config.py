"""The shape of a skeleton-1d supernet, its search space, and how it is read from a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import combinations

from torch import Tensor

from hwsearch.errors import CheckpointError, SupernetError
from hwsearch.spaces import Choice, SearchSpace, When
from hwsearch.supernets.checkpoint.reading import shape_of
from hwsearch.supernets.layers.naming import make_divisible
from hwsearch.tasks.sequences.layout import JOINTS, PARTS

#: branches in the order of their genes' numbers
BRANCHES = ("two-stream", "body-part", "attention", "difference")

#: how branches are joined: mean of probabilities, or normalised product of them
FUSIONS = ("average", "product")

#: frames of the catalogue's network, the most that one of other data gets
FRAMES = 64

#: what a file should be
EXPECTED = "A file that hwsearch wrote for the family skeleton-1d is expected."


def subsets() -> tuple[str, ...]:
    """List the sets of branches that can be on, the cheapest first and all of them last.

    Returns
    -------
    tuple of str
        Names joined by ``+``.

    Examples
    --------
    >>> len(subsets()), subsets()[0], subsets()[-1]
    (15, 'difference', 'two-stream+body-part+attention+difference')
    """
    order = [BRANCHES[i] for i in (3, 2, 0, 1)]  # by MACs at equal genes
    found = [s for n in range(1, len(order) + 1) for s in combinations(order, n)]
    return tuple("+".join(b for b in BRANCHES if b in s) for s in found)


@dataclass(frozen=True)
class Skeleton1DConfig:
    """All that fixes the shape of the supernet.

    Parameters
    ----------
    classes : int
        Outputs; 60 of NTU RGB+D.
    frames : int
        Frames of an input.
    width : int
        Channels of each base network at full width, a multiple of 8.
    blocks, kernels : tuple of int
        Elastic choices: residual blocks, and taps of all convolutions (odd).
    widths : tuple of float
        Elastic choice: shares of `width`.
    name : str
        Name of the space.

    Raises
    ------
    SupernetError
        If a choice is empty, not ascending or out of range.
    """

    classes: int = 60
    frames: int = FRAMES
    width: int = 64
    blocks: tuple[int, ...] = (1, 2, 3, 4)
    kernels: tuple[int, ...] = (3, 5, 7, 9)
    widths: tuple[float, ...] = (0.25, 0.5, 0.75, 1.0)
    name: str = "skeleton-1d"

    def __post_init__(self) -> None:
        good = min(self.classes, self.frames - 1, self.width) >= 1 and self.width % 8 == 0
        good = good and all(
            c and list(c) == sorted(set(c)) and c[0] > 0 for c in (self.blocks, self.kernels, self.widths)
        )
        if (
            not good
            or any(k % 2 == 0 for k in self.kernels)
            or max(self.widths, default=0) != 1
            or len({self.channels(w) for w in self.widths}) < len(self.widths)
        ):
            raise SupernetError(
                f"{self.name!r}: {self} is not valid.",
                hint="Choices ascend; kernels are odd; shares of the width give different multiples of 8, the largest is 1.",
            )

    def channels(self, share: float) -> int:
        """Compute the channels of a width.

        Parameters
        ----------
        share : float
            Share of the full width.

        Returns
        -------
        int
            A multiple of 8.
        """
        return make_divisible(self.width * share)

    def nets(self, branch: str) -> tuple[tuple[int, int], ...]:
        """List the base networks of a branch.

        Parameters
        ----------
        branch : str
            One of `BRANCHES`.

        Returns
        -------
        tuple of (int, int)
            Input channels, and positions that convolutions run over, of each.
        """
        every = (3 * JOINTS, self.frames)
        if branch == "two-stream":
            return every, (3 * self.frames, JOINTS)
        if branch == "body-part":
            return tuple((3 * len(joints), self.frames) for joints in PARTS.values())
        return ((3 * JOINTS, self.frames - 1),) if branch == "difference" else (every,)

    def search_space(self) -> SearchSpace:
        """Build the search space: genes of a branch that is off are inactive, so is the fusion of one branch.

        Returns
        -------
        SearchSpace
            ``branches``, ``fusion``, and for branch i of `BRANCHES` blocks ``d[i]``, width ``w[i]`` and kernel ``ks[i]``.
        """
        every = subsets()
        choices = [
            Choice("branches", every, ordinal=False),
            Choice("fusion", FUSIONS, When("branches", tuple(s for s in every if "+" in s)), ordinal=False),
        ]
        for i, branch in enumerate(BRANCHES):
            on = When("branches", tuple(s for s in every if branch in s.split("+")))
            choices += [
                Choice(f"d[{i}]", self.blocks, on),
                Choice(f"w[{i}]", self.widths, on),
                Choice(f"ks[{i}]", self.kernels, on),
            ]
        return SearchSpace(self.name, choices)

    @classmethod
    def of(cls, state: Mapping[str, Tensor]) -> Skeleton1DConfig:
        """Read classes, frames and width from a file's tensors.

        Parameters
        ----------
        state : mapping
            Name → tensor.

        Returns
        -------
        Skeleton1DConfig
            Configuration of the network that they fit.

        Raises
        ------
        CheckpointError
            If they are of another kind of model.
        """
        shape = lambda name, axes: shape_of(state, name, axes, EXPECTED)  # noqa: E731
        width, inputs, kernel = shape("two-stream.nets.1.stem.conv.weight", 3)
        classes = shape("two-stream.head.weight", 2)[0]
        if inputs % 3 or width % 8 or kernel != max(cls.kernels):
            raise CheckpointError(f"a first convolution of shape {(width, inputs, kernel)} is not one of skeleton-1d.")
        return cls().fitting(classes, inputs // 3, width)

    def fitting(self, classes: int, frames: int, width: int | None = None) -> Skeleton1DConfig:
        """Change the sizes; a space of other sizes has another name.

        Parameters
        ----------
        classes, frames : int
            As of the class.
        width : int, optional
            As of the class; by default the same.

        Returns
        -------
        Skeleton1DConfig
            Of those sizes.
        """
        width = width or self.width
        same = (frames, width) == (FRAMES, Skeleton1DConfig.width)
        name = "skeleton-1d" if same else f"skeleton-1d-t{frames}-w{width}"
        return replace(self, classes=classes, frames=frames, width=width, name=name)
