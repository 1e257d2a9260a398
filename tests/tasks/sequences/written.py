"""Files of NTU RGB+D as tests write them."""

from __future__ import annotations

from pathlib import Path

#: the line of a body but for its id: clipped edges, hands, restricted, lean, tracking state
INFO = "0 1 1 1 1 0 0.02764709 0.05745083 2"

#: the numbers of a joint behind its position: depth and colour image, rotation, tracking state
BEHIND = "277.419 191.8218 1036.233 519.1677 -0.2059419 0.05349901 0.9692109 -0.1239193 2"


def body(name: str, at: float, joints: int = 25) -> list[str]:
    """A body whose joint j is at (at + j, 2 j, -j)."""
    return [f"{name} {INFO}", str(joints), *[f"{at + j} {2 * j} {-j} {BEHIND}" for j in range(joints)]]


def text(*frames: list[list[str]]) -> str:
    """A file of frames, each a list of bodies."""
    lines = [str(len(frames))]
    for bodies in frames:
        lines += [str(len(bodies)), *[line for one in bodies for line in one]]
    return "\n".join(lines) + "\n"


def write(folder: Path, name: str, content: str) -> Path:
    """Write a file into a folder, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(content)
    return path
