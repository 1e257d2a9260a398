"""Kernels of a training step: four operators and their fusions, in plain torch or compiled from C++.

Layers in training mode ask `active` for them. They are below the layers, as the layers call them; what chooses them
stands above (`hwsearch.training`).
"""

from hwsearch.supernets.kernels.choice import NAMES, Choice, KernelsName, active, choose, using
from hwsearch.supernets.kernels.eager import ACTIVATIONS, EAGER, Activation, Kernels, Norm

__all__ = [
    "ACTIVATIONS",
    "EAGER",
    "NAMES",
    "Activation",
    "Choice",
    "Kernels",
    "KernelsName",
    "Norm",
    "active",
    "choose",
    "using",
]
