"""Check torch files before torch reads them: sizes, checksums, and the storages that their tensors lie in."""

from __future__ import annotations

import io
import mmap
import pickletools
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from hwsearch.errors import CheckpointError

#: unpacked, a file may be so many times as large as it is, and so many bytes more
MOST_GROWTH, MOST_MORE = 4, 64 * 2**20
#: instructions that make the names and shapes, each of which may make an object
MOST_INSTRUCTIONS, MOST_MEMBERS = 2_000_000, 200_000
#: bytes that are checksummed at a time
BLOCK = 2**20
#: bytes of an element, by the storage's name
ITEM_SIZES = {
    "DoubleStorage": 8, "FloatStorage": 4, "HalfStorage": 2, "BFloat16Storage": 2, "LongStorage": 8, "IntStorage": 4, "ShortStorage": 2,
    "CharStorage": 1, "ByteStorage": 1, "BoolStorage": 1, "ComplexDoubleStorage": 16, "ComplexFloatStorage": 8, "QInt8Storage": 1,
    "QUInt8Storage": 1, "QInt32Storage": 4, "QUInt4x2Storage": 1, "QUInt2x4Storage": 1,
}  # fmt: skip
#: what makes tensors of what a file stores, and nothing larger
BUILDERS = (
    "_rebuild_tensor",
    "_rebuild_tensor_v2",
    "_rebuild_parameter",
    "_rebuild_sparse_tensor",
    "_rebuild_meta_tensor_no_storage",
)
#: names that torch would call with any size that a file says
GREEDY = re.compile(
    r"(builtins|__builtin__) bytearray|torch\.storage (Unt|T)ypedStorage|torch(\.\w+)* \w*Tensor|torch\._tensor \w+|torch\._utils (?P<builder>\w+)"
)
#: stands for a value that the check does not follow
OTHER = object()


def check_torch_file(path: Path) -> None:
    """Refuse a torch file that would take more memory than it stores, or whose checksums are wrong.

    Parameters
    ----------
    path : Path
        A file of `torch.save`, a zip archive or of the older form.

    Raises
    ------
    CheckpointError
        If its members are packed to a fraction of their size or damaged, or if a storage is declared larger than it is stored.
    """
    try:
        if zipfile.is_zipfile(path):
            _check_archive(path)
        else:
            _check_stream(path)
    except CheckpointError:
        raise
    except Exception as error:  # whatever a damaged file makes zip and pickletools say
        raise CheckpointError(f"{str(path)!r} is truncated or not a weight file: {error}.") from error


def _check_archive(path: Path) -> None:
    size = path.stat().st_size
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        unpacked = sum(entry.file_size for entry in entries)
        if unpacked > MOST_GROWTH * size + MOST_MORE or len(entries) > MOST_MEMBERS:
            raise CheckpointError(
                f"{str(path)!r} has {size / 2**20:.3g} MiB and would become {unpacked / 2**20:.3g} MiB: it is not a weight file."
            )
        names = {entry.filename: entry.file_size for entry in entries}
        if len(names) < len(entries):
            raise CheckpointError(f"{str(path)!r} is damaged: it has two members of one name.")
        for entry in entries:
            if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise CheckpointError(f"{str(path)!r} is packed in an unusual way; save it with torch.save.")
            _check_sum(archive, entry, path)
        for name in (n for n in names if n.endswith("data.pkl")):
            folder = name.removesuffix("data.pkl")
            for key, declared in storages(io.BytesIO(archive.read(name)), path):
                stored = names.get(f"{folder}data/{key}")
                if stored is not None and declared != stored:
                    raise CheckpointError(f"{str(path)!r}: {declared} bytes are declared where {stored} are stored.")


def _check_sum(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path) -> None:
    """Compare a member with its checksum, which torch does not look at."""
    try:
        read = 0
        with archive.open(entry) as stream:
            while block := stream.read(BLOCK):
                read += len(block)
    except zipfile.BadZipFile as error:
        raise CheckpointError(f"{str(path)!r} is damaged: {error}.", hint="Copy it again.") from error
    if read != entry.file_size:
        raise CheckpointError(
            f"{str(path)!r} is damaged: {entry.filename!r} is shorter than it says.", hint="Copy it again."
        )


def _check_stream(path: Path) -> None:
    """Check a file of the older form: pickles one after the other, then the storages."""
    declared: dict[str, int] = {}
    # of a map, as an ordinary file makes room for as much as a damaged length says
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as stream:
        for _ in range(5):  # magic number, version, system, contents, keys of the storages
            for key, size in storages(stream, path):
                declared[key] = max(size, declared.get(key, 0))
    if sum(declared.values()) > path.stat().st_size:
        raise CheckpointError(f"{str(path)!r}: {sum(declared.values())} bytes are declared, more than the file has.")


def storages(stream: Any, path: Path) -> Iterator[tuple[str, int]]:
    """Find the storages that a pickle names, without loading it.

    Parameters
    ----------
    stream : binary file or map of one
        At the beginning of a pickle; afterwards behind its end.
    path : Path
        For messages.

    Yields
    ------
    key : str
        Of a storage.
    size : int
        Its declared length, bytes.

    Raises
    ------
    CheckpointError
        If one is named in a way that `torch.save` does not, or anything is made of a size that the file alone says.
    """
    memo: dict[int, Any] = {}
    last: Any = OTHER
    values: list[Any] = []  # since the last mark
    before = ""
    for number, (code, argument, _) in enumerate(pickletools.genops(stream)):
        name = code.name
        if number > MOST_INSTRUCTIONS:
            raise CheckpointError(
                f"{str(path)!r} has more than {MOST_INSTRUCTIONS} instructions: it is not a weight file."
            )
        if name in ("BINPUT", "LONG_BINPUT"):
            memo[int(argument or 0)] = last
            continue
        if name == "MARK":
            values, last = [], OTHER
        elif name == "BINPERSID":
            if before != "TUPLE":
                raise _strange(path)
            yield _storage(values, path)
            values, last = [], OTHER
        elif name != "TUPLE":
            last = _pushed(name, argument, memo)
            if isinstance(last, _Name):
                _check_name(last, path)
            values.append(last)
        else:
            last = OTHER
        before = name


class _Name(str):
    """A name of Python's that a pickle takes, as ``module name``."""


def _pushed(name: str, argument: Any, memo: dict[int, Any]) -> Any:
    if name in ("BINGET", "LONG_BINGET"):
        return memo.get(int(argument), OTHER)
    if name == "GLOBAL":
        return _Name(argument)
    if name in ("BINUNICODE", "SHORT_BINSTRING", "BININT", "BININT1", "BININT2", "LONG1", "NONE"):
        return argument
    return OTHER


def _storage(values: list[Any], path: Path) -> tuple[str, int]:
    if len(values) == 6 and values[5] is None:  # of the older form, no view of another one
        values = values[:5]
    if len(values) != 5 or values[0] != "storage" or not isinstance(values[1], _Name):
        raise _strange(path)
    size = ITEM_SIZES.get(values[1].removeprefix("torch "))
    key, count = values[2], values[4]
    if size is None or not isinstance(key, str) or not isinstance(count, int) or count < 0:
        raise _strange(path)
    return key, count * size


def _check_name(name: _Name, path: Path) -> None:
    found = GREEDY.fullmatch(name)
    if found is None or found["builder"] in BUILDERS:
        return
    if found["builder"] == "_rebuild_qtensor":
        raise CheckpointError(
            f"{str(path)!r} holds a tensor that is quantised.", hint="Save dense floating-point weights."
        )
    raise CheckpointError(
        f"{str(path)!r} holds {name.replace(' ', '.')!r}, which weights do not need.", hint="Save tensors alone."
    )


def _strange(path: Path) -> CheckpointError:
    return CheckpointError(
        f"{str(path)!r} names what it stores in a way that torch.save does not.", hint="Save it anew."
    )


def load_torch_file(path: Path) -> Any:
    """Load what a torch file holds, after `check_torch_file`; no code of it is run.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    object
        Its content, on the CPU.

    Raises
    ------
    CheckpointError
        If the file is refused.
    pickle.UnpicklingError
        If it holds more than tensors and plain values.
    """
    check_torch_file(path)
    return torch.load(path, map_location="cpu", weights_only=True)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint of training.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    dict
        What was saved, on the CPU.

    Raises
    ------
    CheckpointError
        If it is missing, damaged, or anything else than a mapping with text keys.
    """
    try:
        found = load_torch_file(path)
    except CheckpointError:
        raise
    except Exception as error:  # whatever a damaged file makes torch say
        raise CheckpointError(f"the checkpoint {str(path)!r} cannot be read: {error}.") from error
    if not isinstance(found, dict) or not all(isinstance(key, str) for key in found):
        raise CheckpointError(f"the checkpoint {str(path)!r} is of another program.")
    check_expanded(found.values(), path)
    return found


def check_expanded(values: Iterable[Any], path: Path) -> None:
    """Refuse tensors that are declared much larger than the file that stores them.

    Parameters
    ----------
    values : iterable
        What a file holds: tensors, and those within mappings and lists.
    path : Path
        The file.

    Raises
    ------
    CheckpointError
        If all of them together would take more memory than a file of that size can hold.
    """
    declared, waiting = 0, list(values)
    while waiting:
        value = waiting.pop()
        if isinstance(value, torch.Tensor):
            declared += value.numel() * value.element_size()
        elif isinstance(value, Mapping):
            waiting += value.values()
        elif isinstance(value, list | tuple):
            waiting += value
    size = path.stat().st_size
    if declared > MOST_GROWTH * size + MOST_MORE:
        raise CheckpointError(
            f"{str(path)!r} declares tensors of {declared / 2**20:.3g} MiB, and has {size / 2**20:.3g} MiB."
        )
