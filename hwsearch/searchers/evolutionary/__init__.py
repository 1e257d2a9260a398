"""Tactics that evolve measured architectures: NSGA-II and its kin, regularised evolution, local search."""
