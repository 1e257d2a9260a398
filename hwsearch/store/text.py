"""Text as databases take it."""

from __future__ import annotations


def clean_text(text: str) -> str:
    r"""Remove what databases refuse from a text: NUL, and characters that UTF-8 cannot write.

    Parameters
    ----------
    text : str
        Any text.

    Returns
    -------
    str
        With question marks for characters that cannot be written.

    Examples
    --------
    >>> clean_text("a\0b")
    'ab'
    """
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")
