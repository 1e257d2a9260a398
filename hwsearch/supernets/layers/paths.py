"""Modules under dotted names."""

from __future__ import annotations

from torch import nn


def register_at(root: nn.Module, path: str, module: nn.Module) -> None:
    """Register a module below another under a dotted name; the modules between only give the name.

    Parameters
    ----------
    root : nn.Module
        Module that is changed.
    path : str
        Dotted name.
    module : nn.Module
        Module to register.

    Examples
    --------
    >>> net = nn.Module()
    >>> register_at(net, "encoder.layer", nn.ReLU())
    >>> [name for name, _ in net.named_modules()]
    ['', 'encoder', 'encoder.layer']
    """
    *parents, name = path.split(".")
    for parent in parents:
        if not hasattr(root, parent):
            root.add_module(parent, nn.Module())
        root = root.get_submodule(parent)
    root.add_module(name, module)
