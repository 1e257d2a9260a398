"""Read the members of a predictor file within a bound on memory that their headers are held to first."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from predictors.errors import PredictorFileError

#: bytes that all members of a file may have together, unpacked, each counted as often as it is read
MOST_BYTES = 256 * 2**20
#: bytes of JSON, from which lists and dicts of many times the size are made
MOST_JSON = 4 * 2**20
MOST_MEMBERS = 10_000


class Members:
    """The members of a predictor file.

    Parameters
    ----------
    archive : zipfile.ZipFile
        The file; closed by the caller.

    Raises
    ------
    PredictorFileError
        If it has too many members.
    """

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._left = MOST_BYTES
        if len(archive.infolist()) > MOST_MEMBERS:
            raise PredictorFileError(f"the file has {len(archive.infolist())} members.", hint="Save it anew.")

    def read(self, name: str, most: int = MOST_BYTES) -> bytes:
        """Read a member.

        Parameters
        ----------
        name : str
            Its name.
        most : int
            Bytes that it may have.

        Returns
        -------
        bytes
            Its contents, with the right checksum.

        Raises
        ------
        PredictorFileError
            If it is larger than that, larger than what is left of `MOST_BYTES`, or packed in an unusual way.
        """
        if not isinstance(name, str) or name not in self._archive.namelist():
            raise PredictorFileError(f"the file is damaged: it lacks {str(name)[:60]!r}.", hint="Save it anew.")
        entry = self._archive.getinfo(name)
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise PredictorFileError(f"{name!r} is packed in an unusual way.", hint="Save it anew.")
        most = min(most, self._left)
        if entry.file_size > most:
            raise PredictorFileError(
                f"{name!r} would take {entry.file_size / 2**20:.3g} MiB, more than a predictor does.",
                hint="Save it anew.",
            )
        with self._archive.open(entry) as stream:
            data = stream.read(most + 1)
            if len(data) == entry.file_size and not stream.read(1):  # at the end the checksum is compared
                self._left -= len(data)
                return data
        raise PredictorFileError(f"{name!r} is larger than it says.", hint="Save it anew.")

    def array(self, name: str) -> NDArray[Any]:
        """Read an array of numbers or booleans.

        Parameters
        ----------
        name : str
            Name of an ``.npy`` member.

        Returns
        -------
        ndarray
            The array.

        Raises
        ------
        PredictorFileError
            If it holds something else, or another number of bytes than its shape needs.
        """
        stream = io.BytesIO(self.read(name))
        version = npy.read_magic(stream)
        if version not in ((1, 0), (2, 0)):
            raise PredictorFileError(f"the array {name!r} has version {version}.", hint="Save it anew.")
        shape, _, dtype = (npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0)(stream)
        if dtype.hasobject:
            raise PredictorFileError(f"the array {name!r} holds objects, and allow_pickle is never used.")
        count = 1
        for length in shape:
            count *= int(length)
        if dtype.kind not in "biuf" or min(shape, default=0) < 0 or count * dtype.itemsize != _rest(stream):
            raise PredictorFileError(f"the array {name!r} is not {shape} numbers of {dtype}.", hint="Save it anew.")
        stream.seek(0)
        return np.load(stream, allow_pickle=False)


def _rest(stream: io.BytesIO) -> int:
    return len(stream.getbuffer()) - stream.tell()
