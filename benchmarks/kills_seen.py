"""Contents of a folder before and after a kill: stored values, steps of checkpoints, and whole files."""

from __future__ import annotations

import json
import shutil
import sqlite3
import tempfile
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import onnx
import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file

from hwsearch.supernets.checkpoint import read_checkpoint

#: a stored value: its key, the value, and when it was measured
Row = tuple[str, float, str]
#: files that a step writes at its end, and never halfway
RESULTS = ("*.csv", "*.html", "*.json", "models/**/*.json", "models/**/*.onnx", "**/*.safetensors")
READ = """
SELECT key, value, ended_at, arch_id || ' ' || metric || ' ' || subject || ' ' || protocol || ' ' || purpose || ' ' || supernet
FROM measurements WHERE value IS NOT NULL
"""


def stored_values(store: Path, *, running: bool = False) -> tuple[set[Row], int]:
    """Read the values of a store, and count those that it holds twice.

    Parameters
    ----------
    store : pathlib.Path
        The SQLite file; one that is missing, has no tables yet or is damaged holds nothing.
    running : bool
        Whether a process writes to it. Otherwise a copy is read, so that the next process finds what the last one left,
        the log of an unfinished transaction included.

    Returns
    -------
    tuple of set of Row and int
        The values, and by how many the rows outnumber the measurement keys, or else what the keys stand for.
    """
    if not store.exists():
        return set(), 0
    if running:
        return _read(store)
    with tempfile.TemporaryDirectory(prefix="hwsearch-kills-") as folder:
        for suffix in ("", "-wal"):
            if (source := store.with_name(store.name + suffix)).exists():
                shutil.copy(source, Path(folder) / source.name)
        return _read(Path(folder) / store.name, checked=True)


def _read(path: Path, *, checked: bool = False) -> tuple[set[Row], int]:
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode={'rw' if checked else 'ro'}", uri=True)) as store:
            if checked and store.execute("PRAGMA quick_check").fetchone() != ("ok",):
                return set(), 0
            rows = store.execute(READ).fetchall()
    except sqlite3.DatabaseError:  # no tables yet, or damaged
        return set(), 0
    distinct = min(len({row[0] for row in rows}), len({row[3] for row in rows}))
    return {(key, value, ended) for key, value, ended, _ in rows}, len(rows) - distinct


def checkpoint_steps(folder: Path) -> dict[str, int]:
    """Read how far each checkpoint of a folder is.

    Parameters
    ----------
    folder : pathlib.Path
        Of a campaign, or of a training.

    Returns
    -------
    dict of str to int
        Steps done, by file; -1 for a file that cannot be read.
    """
    found = {}
    for path in folder.glob("*/*.pt"):
        try:
            state = read_checkpoint(path)
            found[str(path.relative_to(folder))] = int(state["step"] if "step" in state else len(state["losses"]))
        except FileNotFoundError:  # removed meanwhile
            continue
        except Exception:  # torch raises many kinds
            found[str(path.relative_to(folder))] = -1
    return found


def whole_files(folder: Path) -> dict[str, bool]:
    """Find results in a folder, and whether each is whole.

    Parameters
    ----------
    folder : pathlib.Path
        Of a campaign, or of a training.

    Returns
    -------
    dict of str to bool
        By file.
    """
    return {str(p.relative_to(folder)): _is_whole(p) for pattern in RESULTS for p in folder.glob(pattern)}


def _is_whole(path: Path) -> bool:
    try:
        if path.suffix == ".safetensors":
            load_file(path)
        elif path.suffix == ".onnx":
            onnx.load(path)
        elif path.suffix == ".json":
            json.loads(path.read_text(encoding="utf-8"))
        else:
            return path.read_text(encoding="utf-8").endswith(
                ("</html>\n", "</html>") if path.suffix == ".html" else "\n"
            )
    except (OSError, ValueError, SafetensorError, onnx.defs.SchemaError) as error:
        return isinstance(error, FileNotFoundError)
    except Exception:  # protobuf's error has no public name
        return False
    return True


def final_weights(path: Path) -> dict[str, torch.Tensor]:
    """Read the weights that a training ended with.

    Parameters
    ----------
    path : pathlib.Path
        A folder with one file of weights beside the checkpoints, or below ``models/finetuned``.

    Returns
    -------
    dict of str to torch.Tensor
        By name.
    """
    (file,) = path.glob("**/*.safetensors")
    return {name: torch.from_numpy(value) for name, value in load_file(file).items()}


@dataclass
class Ledger:
    """Contents that one folder has been seen to hold; counts what has gone missing since, and what is there twice.

    Parameters
    ----------
    folder : pathlib.Path
        Of a campaign, or of a training.

    Attributes
    ----------
    values : set of Row
        Stored values seen so far and not reported lost.
    steps : dict of str to int
        Most steps that each checkpoint was seen with.
    files : dict of str to bool
        Results seen, and whether they were whole.
    lost : int
        Stored values, steps of checkpoints and whole files that have gone missing, and files that are cut.
    doubled : int
        Most values that the store was seen to hold twice.
    """

    folder: Path
    values: set[Row] = field(default_factory=set)
    steps: dict[str, int] = field(default_factory=dict)
    files: dict[str, bool] = field(default_factory=dict)
    lost: int = 0
    doubled: int = 0

    def look(self, *, running: bool = False) -> None:
        """Compare what the folder holds with what was seen before, and remember it.

        Parameters
        ----------
        running : bool
            Whether a process works in the folder, just before it is killed: what it holds is added, and nothing is judged.
        """
        values, doubled = stored_values(self.folder / "store.sqlite", running=running)
        steps = checkpoint_steps(self.folder)
        self.doubled = max(self.doubled, doubled)
        if running:
            self.values |= values
            self.steps |= {k: max(n, self.steps.get(k, 0)) for k, n in steps.items()}
            return
        self.lost += len(self.values - values)
        self.values = values
        files = whole_files(self.folder)
        self.lost += sum(whole and not files.get(name, False) for name, whole in self.files.items())
        self.lost += sum(not whole and name not in self.files for name, whole in files.items())
        self.files = files
        # a fine-tuning removes its checkpoint once its weights are written; done again, it begins from the first step
        weights = [name for name in files if name.startswith("models/finetuned/") and name.endswith(".safetensors")]
        superseded = any(files[name] for name in weights)
        for name in self.steps | steps:
            missing = self.steps.get(name, 0) - steps.get(name, 0)
            self.lost += 0 if superseded else max(0, missing)
        self.steps = steps
