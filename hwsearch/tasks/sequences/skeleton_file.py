"""Reader of the text files of NTU RGB+D: one sequence of skeletons a file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hwsearch._typing import BoolArray
from hwsearch.errors import DataError
from hwsearch.tasks.sequences.layout import JOINTS

#: numbers in the line of a joint: position (3), in the depth image (2), in the colour image (2), rotation (4), tracking state
JOINT_NUMBERS = 12

#: numbers in the line of a body: id, clipped edges, two hands with confidence and state, restricted, lean (2), tracking state
BODY_NUMBERS = 10

#: most frames and bodies that a file may announce
MOST_FRAMES, MOST_BODIES = 100_000, 64

_NAME = re.compile(r"S(\d{3})C(\d{3})P(\d{3})R(\d{3})A(\d{3})")


class NoBodyError(DataError):
    """A file of skeletons that has no body in any frame, as some of the data set have."""


@dataclass(frozen=True)
class SequenceName:
    """Camera, subject and action that the name of a file tells.

    Parameters
    ----------
    camera, subject, action : int
        The numbers behind ``C``, ``P`` and ``A``, from 1.

    Examples
    --------
    >>> SequenceName.of(Path("S001C002P003R002A058.skeleton"))
    SequenceName(camera=2, subject=3, action=58)
    """

    camera: int
    subject: int
    action: int

    @classmethod
    def of(cls, path: Path) -> SequenceName:
        """Read the name of a file.

        Parameters
        ----------
        path : Path
            The file.

        Returns
        -------
        SequenceName
            Its numbers.

        Raises
        ------
        DataError
            If the name is not of the form ``S001C002P003R002A058``.
        """
        found = _NAME.fullmatch(path.stem)
        if found is None or int(found[5]) < 1:
            raise DataError(
                f"the file name {path.name!r} names no class.",
                hint="Names of NTU RGB+D are like S001C002P003R002A058.skeleton (setup, camera, person, repetition, action from 1).",
            )
        return cls(int(found[2]), int(found[3]), int(found[5]))


def read_skeleton(path: Path) -> tuple[NDArray[np.float32], BoolArray]:
    """Read the body of a file that is seen in most frames; of several, the one that moves most.

    Parameters
    ----------
    path : Path
        A ``.skeleton`` file: the number of frames; in each frame the number of bodies; of each body a line of information,
        the number of joints (25), and a line of 12 numbers a joint, of which the first three are its position in metres.

    Returns
    -------
    joints : ndarray of float32
        Positions, shape ``(frames, 25, 3)``; 0 in frames without this body.
    seen : BoolArray
        In which frames it is there, shape ``(frames,)``.

    Raises
    ------
    DataError
        If the file is missing, cut off, has another number of joints or no frame, or something that is not a finite number
        where a number should stand; the message names file and line.
    NoBodyError
        If there is no body in any frame.

    References
    ----------
    Shahroudy, Liu, Ng, Wang, 2016, NTU RGB+D, arXiv 1604.02808.
    """
    bodies: dict[str, dict[int, NDArray[np.float64]]] = {}
    lines = _Lines(path)
    frames = lines.count("the number of frames", 1, MOST_FRAMES)
    for frame in range(frames):
        seen: set[str] = set()
        for _ in range(lines.count(f"the number of bodies of frame {frame + 1}", 0, MOST_BODIES)):
            body = lines.words("the line of a body", BODY_NUMBERS)[0]
            if body in seen:
                raise lines.error(f"the body {body!r} stands twice in frame {frame + 1}")
            seen.add(body)
            joints = lines.count("the number of joints", 0, 1000)
            if joints != JOINTS:
                raise lines.error(f"a body of {joints} joints, expected {JOINTS}")
            rows = [lines.numbers(f"joint {j + 1}") for j in range(JOINTS)]
            bodies.setdefault(body, {})[frame] = np.array(rows)
    lines.end()
    if not bodies:
        raise NoBodyError(f"{str(path)!r} has no body in any of its {frames} frames.", hint="Leave the file out.")
    chosen = max(bodies.values(), key=lambda found: (len(found), _motion(found)))
    out, there = np.zeros((frames, JOINTS, 3), np.float32), np.zeros(frames, bool)
    for frame, position in chosen.items():
        out[frame], there[frame] = position, True
    return out, there


def _motion(found: dict[int, NDArray[np.float64]]) -> float:
    """Variance of the joints' positions over the frames, summed."""
    return float(np.var(np.stack(list(found.values())), axis=0).sum())


class _Lines:
    """The lines of a file, one after the other, with errors that name file and line."""

    def __init__(self, path: Path) -> None:
        self.path, self.number = path, 0
        try:
            text = path.read_bytes().decode("ascii")
        except OSError as error:
            raise DataError(f"{str(path)!r} cannot be read: {error.strerror or error}.") from error
        except UnicodeDecodeError as error:
            raise DataError(f"{str(path)!r} is not a text file of skeletons: {error}.") from error
        self._rest: Iterator[str] = iter(text.splitlines())

    def error(self, what: str) -> DataError:
        """Say what is wrong with the line that was read last."""
        return DataError(f"{str(self.path)!r}, line {self.number}: {what}.")

    def _next(self, what: str) -> str:
        line = next(self._rest, None)
        self.number += 1
        if line is None:
            raise self.error(f"the file ends where {what} should stand")
        return line.strip()

    def count(self, what: str, least: int, most: int) -> int:
        """Read a line of one whole number."""
        line = self._next(what)
        if not (line.isascii() and line.isdigit() and len(line) < 10 and least <= int(line) <= most):
            raise self.error(f"{what} should be a whole number from {least} to {most:,}, got {line[:40]!r}")
        return int(line)

    def words(self, what: str, expected: int) -> list[str]:
        """Read a line of so many words."""
        found = self._next(what).split()
        if len(found) != expected:
            raise self.error(f"{what} should have {expected} numbers, got {len(found)}")
        return found

    def numbers(self, what: str) -> list[float]:
        """Read the position of a joint; the other numbers may be NaN, as in the published files, but must be numbers."""
        words = self.words(what, JOINT_NUMBERS)
        if any("_" in w for w in words):  # Python would read 1_0 as 10
            raise self.error(f"{what}: {' '.join(words)[:60]!r} are no numbers")
        try:
            values = [float(w) for w in words]
        except ValueError as error:
            raise self.error(f"{what}: {error}") from error
        if not all(abs(v) < 1e6 for v in values[:3]):
            raise self.error(f"{what} is at {' '.join(words[:3])[:60]}, which is no position in metres")
        return values[:3]

    def end(self) -> None:
        """Check that only empty lines are left."""
        for line in self._rest:
            self.number += 1
            if line.strip():
                raise self.error(f"{line.strip()[:40]!r} stands behind the last frame")
