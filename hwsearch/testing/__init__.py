"""Conformance suites for plug-ins; they need pytest. Subclass one in your own tests."""

from __future__ import annotations

from hwsearch.testing.searchers import SearcherConformance

__all__ = ["SearcherConformance"]
