"""Any network as a supernet: a declaration says which widths, depths and kernels may vary."""

from hwsearch.supernets.declared.declaration import Declaration, Depth, KernelSize, Width
from hwsearch.supernets.declared.elastic import elastic
from hwsearch.supernets.declared.module import ElasticModule

__all__ = ["Declaration", "Depth", "ElasticModule", "KernelSize", "Width", "elastic"]
