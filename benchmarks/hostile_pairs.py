"""Kinds of file that belong together: sentence pairs with their dictionary, and certificates with their key."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.hostile_kinds import Kind
from hwsearch.tasks.translation.readers import read_translation
from hwsearch.tasks.translation.vocabulary import SPECIALS, Subwords

WORDS = ("the", "a", "net@@", "work", "is", "small", "das", "ein", "Netz", "ist", "klein", ".")
SENTENCES = {
    "text.en": "".join(f"{'the' if k % 2 else 'a'} net@@ work is small .\n" for k in range(12)),
    "text.de": "".join(f"{'das' if k % 2 else 'ein'} Netz ist klein .\n" for k in range(12)),
    "dict.en.txt": "".join(f"{word} {100 - k}\n" for k, word in enumerate(WORDS)),
}


def _sentences(folder: Path, name: str) -> Kind:
    """Make sentence pairs, of which one language or the dictionary is damaged."""

    def beside(place: Path) -> None:
        for file, text in SENTENCES.items():
            (place / file).write_text(text, encoding="utf-8")

    def read(path: Path) -> Any:
        data = read_translation(str(path.parent / "text"), Subwords(), limit=100)
        batches = sum(len(target) for _, target in data.batches(0, 5))
        return len(data), batches, len(data.vocabulary), data.digest

    def fits(found: Any) -> bool:
        pairs, batches, tokens, _ = found
        return 0 < pairs == batches <= 100 and tokens >= len(SPECIALS)

    beside(folder)
    known = read(folder / name)
    crafted = {
        "dict.en.txt": (b"the 1\nthe 2\n", b"<pad> 3\n", b"the\n", b"the -1\n", b"the 1.5\n", b"\xff 1\n", b""),
        "text.en": (b"", b"\xff\n" * 12, b"unknown words alone\n" * 12),
        "text.de": (b"", b"ein\n"),
    }
    return Kind(
        name, name, SENTENCES[name].encode(), read, fits, lambda found: bool(found == known), text=True, beside=beside, crafted=crafted[name],
    )  # fmt: skip


def _certificates(folder: Path, name: str) -> Kind:
    """Make a folder of certificates, of which one file is damaged."""
    from cryptography.hazmat.primitives import serialization

    from hwsearch.devices.fleet.certificates import make_certificates, security

    made = {p.name: p.read_bytes() for p in make_certificates(folder / f"{name} certificates")}
    other = {p.name: p.read_bytes() for p in make_certificates(folder / f"{name} others")}
    key = serialization.load_pem_private_key(made["host-key.pem"], None)
    locked = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"secret")
    )

    def beside(place: Path) -> None:
        for file, content in made.items():
            (place / file).write_bytes(content)

    def read(path: Path) -> Any:
        return bool(security("tls://lab:8786", path.parent).require_encryption)

    crafted = {
        "ca.pem": (b"", made["host-key.pem"]),
        "host.pem": (b"", made["ca.pem"], other["host.pem"]),
        "host-key.pem": (b"", locked, other["host-key.pem"], b"-----BEGIN PRIVATE KEY-----\n" + b"A" * 2_000_000),
    }
    return Kind(name, name, made[name], read, bool, bool, text=True, beside=beside, crafted=crafted[name])


KINDS: dict[str, Callable[[Path], Kind]] = {
    **{name: partial(_sentences, name=name) for name in SENTENCES},
    **(
        {name: partial(_certificates, name=name) for name in ("ca.pem", "host.pem", "host-key.pem")}
        if find_spec("distributed") is not None
        else {}
    ),
}
