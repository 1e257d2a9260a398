"""Strategies of supernet training, one file each."""
