"""Text as databases take it."""

from __future__ import annotations


def clean_text(text: str) -> str:
    """`text` without what databases refuse: NUL, and characters that UTF-8 cannot write."""
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")
