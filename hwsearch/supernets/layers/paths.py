"""Elastic transformer encoders: layers, heads of a layer and units of its feed-forward part can be chosen."""

from __future__ import annotations

from torch import nn


def register_at(root: nn.Module, path: str, module: nn.Module) -> None:
    """Register `module` below `root` under a dotted name; the modules between only give the name."""
    *parents, name = path.split(".")
    for parent in parents:
        if not hasattr(root, parent):
            root.add_module(parent, nn.Module())
        root = root.get_submodule(parent)
    root.add_module(name, module)
