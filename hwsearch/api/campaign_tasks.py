"""Further tasks of a campaign: ``[[task]]`` teaches them to its largest subnet, measures them and exports them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from hwsearch._files import own_folder
from hwsearch._json import JsonObject
from hwsearch.api.backbone import (
    Backbone,
    NewTask,
    classifier,
    open_backbone,
    prepare_training,
    task_examples,
    task_steps,
)
from hwsearch.campaigns import Campaign
from hwsearch.campaigns.data import prepared_digest
from hwsearch.campaigns.jobs.accuracy import score_row
from hwsearch.campaigns.purpose import VALIDATE
from hwsearch.campaigns.states import TASKS
from hwsearch.campaigns.task_config import BACKBONE, TaskConfig
from hwsearch.errors import HwsearchError
from hwsearch.store import measurement_key, utc_now
from hwsearch.tasks.data import Data
from hwsearch.training.task_training import SupermaskConfig


@dataclass(frozen=True)
class _Asked:
    """A ``[[task]]`` with its data and its backbone."""

    config: TaskConfig
    new: NewTask
    backbone: Backbone
    known: bool


def check_tasks(campaign: Campaign) -> None:
    """Check all tasks of a campaign before any is trained: data, classes, settings, and the backbones of folders.

    Parameters
    ----------
    campaign : Campaign
        Whose ``[[task]]`` are checked; without any nothing is done.

    Raises
    ------
    DataError
        If data are missing, or do not fit the network.
    TrainingError
        If the supernet is for no classification, or a task is there with other classes, data or settings.
    CheckpointError
        If a folder is of another backbone or of other weights than the campaign's, or damaged.
    SupernetError
        If the network does not end in a linear classifier.
    """
    if campaign.config.task:
        campaign.task_examples = {}
        _asked(campaign, campaign.task_examples)


def train_tasks(campaign: Campaign) -> list[JsonObject]:
    """Train the tasks of a campaign that are not there yet, and measure and export each that has not been.

    Scores are measured at the end, on networks read from the files: so those of earlier tasks are what later ones left. The
    examples are those that `check_tasks` has read, where it came before.

    Parameters
    ----------
    campaign : Campaign
        Whose ``[[task]]`` are trained.

    Returns
    -------
    list of dict
        A row a task, see `hwsearch.reporting.data.ReportData.tasks`.

    Raises
    ------
    HwsearchError
        As of `check_tasks`, before anything is trained; `TrainingError` if a training diverges. What was trained is kept.
    """
    if not campaign.config.task:
        return []
    prepare_training()
    read, campaign.task_examples = campaign.task_examples, {}
    asked = _asked(campaign, read)
    todo = [a for a in asked if not a.known]
    with campaign.progress.task("tasks", sum(a.new.config.steps for a in todo), "steps") as progress:
        before = 0
        for a in todo:
            progress.note(a.config.name)
            with _named(a.config):
                a.backbone.add(a.new, _shown(progress.update, before))
            before += a.new.config.steps
            progress.update(before)
        fresh = _opened(campaign)  # from the files
        rows = [_measured(campaign, replace(a, backbone=fresh[_place(campaign, a.config)])) for a in asked]
        progress.note(
            f"{len(rows)} on one backbone, each unchanged to the bit"
            + (f" · {len(asked) - len(todo)} already known" if len(todo) < len(asked) else "")
        )
    campaign.store.put_state(TASKS, {"weights": campaign.loaded.digest, "rows": rows})
    return rows


def _shown(update: Callable[[float], None], before: int) -> Callable[[JsonObject], None]:
    return lambda status: update(before + status["step"])


def _place(campaign: Campaign, config: TaskConfig) -> Path:
    return Path(config.folder) if config.folder else campaign.folder / BACKBONE


def _opened(campaign: Campaign) -> dict[Path, Backbone]:
    """Open the folders of all tasks, on the campaign's weights."""
    loaded = campaign.loaded
    kind = classifier(loaded.entry)
    found: dict[Path, Backbone] = {}
    for place in dict.fromkeys(_place(campaign, c) for c in campaign.config.task):
        found[place] = open_backbone(
            loaded.entry,
            loaded.net,
            kind,
            place,
            given=f"those of this campaign ({loaded.digest})",
            hint="Use another folder for the [[task]]: masks hold on the weights that they were trained on.",
        )
    return found


def _asked(campaign: Campaign, read: dict[str, tuple[Data, Data]]) -> list[_Asked]:
    """Check everything that is asked for; data that are not among those `read` are read, and added to them."""
    backbones = _opened(campaign)
    found = []
    for config in campaign.config.task:
        with _named(config):
            backbone = backbones[_place(campaign, config)]
            if config.data not in read:
                read[config.data] = task_examples(backbone.kind, config.data)
            examples, test = read[config.data]
            settings = config.model_dump(exclude={"name", "data", "folder", "export", "epochs"})
            settings["steps"] = task_steps(len(examples), config.epochs, config.steps, config.batch)
            new = NewTask(config.name, examples, test, SupermaskConfig(**settings))
            found.append(_Asked(config, new, backbone, backbone.known(new) is not None))
    return found


def _measured(campaign: Campaign, asked: _Asked) -> JsonObject:
    """Check that a task's network is the one that was trained, measure and export it unless that was done."""
    config, backbone, test = asked.config, asked.backbone, asked.new.test
    masked, row = backbone.bank.load(config.name), backbone.bank.row(config.name)
    assert row is not None
    kind, arch, started = backbone.kind, backbone.arch, utc_now()
    batch = campaign.config.data.batch
    subject = f"{test.digest}+{prepared_digest(kind, test)}"
    protocol = f"supermask with statistics of its own, batch {batch}"
    key = measurement_key(arch.id, "accuracy", subject, protocol, str(VALIDATE), masked.digest)
    found = campaign.store.find(keys=[key])
    if not found:
        score = kind.evaluate(backbone.bank.network.cut(masked), test, backbone.size, batch=batch)
        campaign.enter([arch])
        new = score_row(
            arch,
            "accuracy",
            score,
            subject=subject,
            protocol=protocol,
            purpose=VALIDATE,
            unit=kind.score_unit,
            details={"task": config.name, "images": len(test), "score": kind.score_name, "split": "test"},
            started=started,
            weights=masked.digest,
        )
        campaign.store.add([new])
        found = [new]
    (m,) = found
    file = None
    if config.export:
        path = own_folder(own_folder(campaign.folder / "models") / "tasks") / f"{config.name}.onnx"
        card = backbone.exported(config.name, path) or backbone.export(config.name, path)
        file = str(Path(card["path"]).absolute())
    return {
        "name": config.name,
        "classes": len(masked.classes),
        "score": m.value,
        "low": m.low,
        "high": m.high,
        "examples": len(test),
        "data": test.name,
        "density": row["density"],
        "trained": row["trained"],
        "free": row["free"],
        "from": row["transfer"]["from"],
        "bytes": backbone.bank.file(config.name).stat().st_size,
        "backbone_bytes": backbone.bank.weights.stat().st_size,
        "forgetting": 0.0,  # its network has the digest of the one that was trained, else reading it is refused
        "train_seconds": row["seconds"],
        "measured_at": m.ended_at,
        "file": file,
    }


@contextmanager
def _named(config: TaskConfig) -> Iterator[None]:
    """Name the task in what goes wrong with it."""
    try:
        yield
    except HwsearchError as error:
        error.message = f"[[task]] {config.name!r}: {error.message}"
        raise
