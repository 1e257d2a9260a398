"""Open a campaign for a verb, to work on it or to read it, and note what the verb does."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from hwsearch.campaigns import Campaign, Progress
from hwsearch.campaigns.recorded import as_recorded, keep_record
from hwsearch.devices import host_facts
from hwsearch.errors import HwsearchError, SupernetError, describe

#: a campaign, its configuration file or its folder
Source = Campaign | Path | str

T = TypeVar("T")


def open_campaign(
    source: Source,
    *,
    folder: Path | str | None = None,
    progress: Progress | None = None,
    trust: bool = False,
) -> Campaign:
    """Open the campaign of a configuration file or folder.

    Parameters
    ----------
    source : Campaign, path or str
        A campaign, its configuration file or its folder.
    folder : path or str, optional
        Where the campaign lies; by default what the configuration says, or ``runs/NAME``.
    progress : Progress, optional
        Receives the steps of long work; by default the logger ``hwsearch``.
    trust : bool
        Execute what the configuration names even if another user wrote it, see SECURITY.md.

    Returns
    -------
    Campaign
        `source` itself, where it is one.

    Raises
    ------
    CampaignError
        If there is no such file or campaign.
    ConfigError
        If the configuration is wrong.
    """
    if not isinstance(source, Campaign):
        return Campaign.open(source, folder=folder, progress=progress, trust=trust)
    source.trusted |= trust
    return source


def read_campaign(source: Source, *, trust: bool = False) -> Campaign:
    """Open a campaign to read it: as its store describes it, so that nothing that it names is executed.

    Parameters
    ----------
    source : Campaign, path or str
        A campaign, its configuration file or its folder.
    trust : bool
        Execute what the configuration names even if another user wrote it, see SECURITY.md.

    Returns
    -------
    Campaign
        See `hwsearch.campaigns.recorded.as_recorded`.
    """
    return as_recorded(open_campaign(source, trust=trust))


@contextmanager
def noted_step(campaign: Campaign, name: str) -> Iterator[None]:
    """Note a step in the store, in ``log.txt`` and, with its seconds, in the campaign's state.

    At its end the store learns what reading the campaign needs to know, see `hwsearch.campaigns.recorded`.

    Parameters
    ----------
    campaign : Campaign
        What it is done on.
    name : str
        Of the step.

    Yields
    ------
    None
    """
    handler = campaign.log_to_file()
    started, measured = time.monotonic(), campaign.measured()
    status = "failed"
    run = campaign.store.begin_run(name, host_facts())
    try:
        yield
        status = "done"
    except KeyboardInterrupt:
        status = "interrupted"
        raise
    except SystemExit as left:  # a network, task or plug-in that ends the program must not end it without a word
        at = traceback.extract_tb(left.__traceback__)[-1]
        raise SupernetError(
            f"code that this campaign uses ended the program: {describe(left)} ({at.filename}, line {at.lineno})."
        ) from left
    finally:
        handler.close()
        logging.getLogger("hwsearch").removeHandler(handler)
        try:
            campaign.store.end_run(run, status)
            went_on = status != "done" or campaign.measured() > measured
            campaign.note_seconds(name, time.monotonic() - started, went_on=went_on)
            keep_record(campaign)
        except HwsearchError:
            if status == "done":
                raise


def do_step(source: Source, name: str, step: Callable[[Campaign], T], trust: bool = False) -> T:
    """Open a campaign and do a noted step on it.

    Parameters
    ----------
    source : Campaign, path or str
        A campaign, its configuration file or its folder.
    name : str
        Of the step.
    step : callable
        Does it.
    trust : bool
        Execute what the configuration names even if another user wrote it, see SECURITY.md.

    Returns
    -------
    T
        What `step` gives.
    """
    campaign = open_campaign(source, trust=trust)
    with noted_step(campaign, name):
        return step(campaign)
