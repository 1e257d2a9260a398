"""Triton programs for GPUs, and the operators around them. Importing a module of this package needs `triton`."""
