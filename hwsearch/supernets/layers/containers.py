"""Containers: global average pool, named children, and sequences of which some children run."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn
from typing_extensions import override


class GlobalAveragePool(nn.Module):
    """Mean over height and width: (N, C, H, W) → (N, C, 1, 1)."""

    @override
    def forward(self, x_NCHW: Tensor) -> Tensor:
        return x_NCHW.mean((2, 3), keepdim=True)


class Named(nn.Module):
    """A container that only gives its children the names of the reference implementation.

    Parameters
    ----------
    **children : nn.Module
        Children by name; they are attributes of the container.
    """

    def __init__(self, **children: nn.Module) -> None:
        super().__init__()
        for name, child in children.items():
            self.add_module(name, child)

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...


class _Kept(nn.Module):
    """A container that runs the children at the positions `kept` and names all of them in its state dict."""

    def __init__(self, source: nn.Module) -> None:
        super().__init__()
        for name, child in source.named_children():
            self.add_module(name, child)
        self.kept: tuple[int, ...] = tuple(range(len(self._modules)))
        self.training = source.training

    def _active(self) -> list[nn.Module]:
        children = [m for m in self._modules.values() if m is not None]
        return [children[i] for i in self.kept]

    def __iter__(self) -> Iterator[nn.Module]:
        return iter(self._active())

    def __len__(self) -> int:
        return len(self.kept)

    def __getitem__(self, index: Any) -> Any:
        return self._active()[index]


class ElasticSequential(_Kept, nn.Sequential):  # type: ignore[misc]
    """An `nn.Sequential` that runs the children at the positions `kept` and names all of them in its state dict.

    Parameters
    ----------
    source : nn.Sequential
        Container whose children it takes.

    Attributes
    ----------
    kept : tuple of int
        Positions of the children that run.
    """

    def static(self, kept: Sequence[int]) -> nn.Sequential:
        """Make a plain container of some children, under their old names.

        Parameters
        ----------
        kept : sequence of int
            Positions of the children.

        Returns
        -------
        nn.Sequential
            Container that shares the children.
        """
        children = list(self._modules.items())
        plain = nn.Sequential(OrderedDict(children[i] for i in kept))  # type: ignore[arg-type]
        plain.training = self.training
        return plain


class ElasticModuleList(_Kept, nn.ModuleList):  # type: ignore[misc]
    """An `nn.ModuleList` that iterates over the children at the positions `kept` and names all of them in its state dict.

    Parameters
    ----------
    source : nn.ModuleList
        List whose children it takes.

    Attributes
    ----------
    kept : tuple of int
        Positions of the children that are seen.
    """

    def static(self, kept: Sequence[int]) -> nn.ModuleList:
        """Make a plain list of some children, numbered anew.

        Parameters
        ----------
        kept : sequence of int
            Positions of the children.

        Returns
        -------
        nn.ModuleList
            List that shares the children.
        """
        children = list(self._modules.values())
        plain = nn.ModuleList(children[i] for i in kept)  # type: ignore[misc]
        plain.training = self.training
        return plain
