"""Elastic layers: each keeps one full-size weight, of which every call uses a slice."""
