"""What is read of a store, when, and how often."""

from __future__ import annotations

import pytest

from hwsearch.campaigns.reading import OnDemand


def test_a_part_is_read_once_and_only_when_a_key_of_it_is_asked_for() -> None:
    read: list[str] = []

    def part(name: str) -> dict[tuple[str, int], str]:
        read.append(name)
        return {(name, k): f"{name}{k}" for k in range(2)}

    found = OnDemand({name: lambda name=name: part(name) for name in ("a", "b")}, lambda key: key[0])
    assert read == [] and found["a", 1] == "a1" and found.get(("a", 7)) is None and read == ["a"]
    assert found.get(("unknown", 0), "none") == "none" and read == ["a"]
    assert dict(found) == {(n, k): f"{n}{k}" for n in "ab" for k in range(2)} and len(found) == 4 and read == ["a", "b"]
    with pytest.raises(KeyError):
        found["b", 9]
