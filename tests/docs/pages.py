"""The fenced blocks of the documentation, for the tests that run them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
#: pages made from docstrings or models hold no blocks of their own
GENERATED = ("reference/api/",)
_FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """One fenced block. title : the file it is, from ``title="…"``; line : of its fence, from 1"""

    language: str
    title: str
    text: str
    line: int


def blocks(path: Path) -> list[Block]:
    """The blocks of a page, in order."""
    page = path.read_text(encoding="utf-8")
    found = []
    for match in _FENCE.finditer(page):
        language, _, rest = match["info"].strip().partition(" ")
        title = re.search(r'title="([^"]+)"', rest)
        line = page.count("\n", 0, match.start()) + 1
        found.append(Block(language, title[1] if title else "", match["text"], line))
    return found


def pages() -> list[Path]:
    """All pages that may hold snippets, README included."""
    own = [p for p in sorted(DOCS.rglob("*.md")) if not str(p.relative_to(DOCS)).startswith(GENERATED)]
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *own]


def commands(block: Block) -> list[str]:
    """The shell commands of a block: lines after ``$``, or all lines that are no comments; continuations joined."""
    text = block.text.replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines()]
    if any(line.startswith("$ ") for line in lines):
        lines = [line[2:] for line in lines if line.startswith("$ ")]
    return [re.split(r"\s+#\s", line)[0].strip() for line in lines if line and not line.startswith("#")]
