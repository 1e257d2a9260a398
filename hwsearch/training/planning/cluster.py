"""A cluster as a file describes it: leaves, spines, what a link costs, how long a pass takes."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from hwsearch._files import toml_tables, toml_text
from hwsearch.errors import ConfigError, nearest

#: bytes a second of one Gbit/s
GBPS = 1e9 / 8
#: most processes of a training
MOST_RANKS = 1024


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Topology(_Table):
    """A leaf-spine network: every leaf has one link to every spine, and every rank one to its leaf.

    Attributes
    ----------
    leaves : int
        Leaf switches.
    ranks_per_leaf : int
        Processes of the training below each leaf, each with a link of its own.
    spines : int
        Spine switches.
    ranks : int, optional
        Processes of the training, ``leaves * ranks_per_leaf``; given, it must be that.
    placement : {"packed", "striped"}
        Whether neighbouring ranks share a leaf, or are on neighbouring leaves.

    Examples
    --------
    >>> Topology(leaves=2, ranks_per_leaf=2, spines=1, placement="striped").leaf_of(3)
    1
    """

    leaves: int = Field(ge=1, le=4096)
    ranks_per_leaf: int = Field(ge=1, le=4096)
    spines: int = Field(ge=1, le=4096)
    ranks: int | None = Field(None, ge=1)
    placement: Literal["packed", "striped"] = "packed"

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.ranks is not None and self.ranks != self.world:
            few = "fewer" if self.ranks < self.world else "more"
            raise ValueError(
                f"ranks = {self.ranks} are {few} than the {self.world} of {self.leaves} leaves with "
                f"{self.ranks_per_leaf} ranks each; leave ranks out, or change leaves or ranks_per_leaf"
            )
        if self.world > MOST_RANKS:
            raise ValueError(f"{self.world} ranks are more than the {MOST_RANKS} that are reckoned with")
        return self

    @property
    def world(self) -> int:
        """Processes of the training."""
        return self.leaves * self.ranks_per_leaf

    def leaf_of(self, rank: int) -> int:
        """Find the leaf of a rank.

        Parameters
        ----------
        rank : int
            From 0.

        Returns
        -------
        int
            From 0.
        """
        return rank // self.ranks_per_leaf if self.placement == "packed" else rank % self.leaves


class Network(_Table):
    """Cost of a message.

    Attributes
    ----------
    alpha_us : float
        Start of a message, in microseconds: the part that does not grow with its size.
    link_gbps : float
        Gbit/s of the link between a rank and its leaf.
    uplink_gbps : float, optional
        Gbit/s of each link between a leaf and a spine; as `link_gbps` by default.
    """

    alpha_us: float = Field(ge=0, le=1e9)
    link_gbps: float = Field(gt=0, le=1e6)
    uplink_gbps: float | None = Field(None, gt=0, le=1e6)

    @property
    def alpha_s(self) -> float:
        """Start of a message, in seconds."""
        return self.alpha_us * 1e-6

    @property
    def beta_s(self) -> float:
        """Seconds a byte on a rank's link."""
        return 1 / (self.link_gbps * GBPS)

    @property
    def uplink_beta_s(self) -> float:
        """Seconds a byte on a link between leaf and spine."""
        return 1 / ((self.uplink_gbps or self.link_gbps) * GBPS)


class Compute(_Table):
    """Computing speed of one process.

    Attributes
    ----------
    pass_ms : float
        One forward and backward pass of its share of a batch, in ms.
    """

    pass_ms: float = Field(ge=0, le=1e9)


class Cluster(_Table):
    """A cluster, as a TOML file describes it.

    Attributes
    ----------
    topology : Topology
        Leaves, spines and ranks.
    network : Network, optional
        What a message costs; may be missing where it is calibrated.
    compute : Compute, optional
        How fast a process computes; without it only exchanges are timed.
    """

    topology: Topology
    network: Network | None = None
    compute: Compute | None = None


def read_cluster(path: Path) -> Cluster:
    """Read the description of a cluster.

    Parameters
    ----------
    path : Path
        A TOML file with the tables ``[topology]``, ``[network]`` and ``[compute]``.

    Returns
    -------
    Cluster
        The cluster.

    Raises
    ------
    ConfigError
        If the file cannot be read, has an unknown key, or describes no cluster.
    """
    return parse_cluster(toml_tables(toml_text(path), str(path)), str(path))


def parse_cluster(data: object, source: str) -> Cluster:
    """Check the description of a cluster.

    Parameters
    ----------
    data : object
        The tables.
    source : str
        Where they came from, for messages.

    Returns
    -------
    Cluster
        The cluster.

    Raises
    ------
    ConfigError
        If a key is unknown or missing, or a value is not valid.
    """
    try:
        return Cluster.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"])) or "the file"
        if first["type"] == "extra_forbidden":
            tables: dict[str, type[_Table]] = {"topology": Topology, "network": Network, "compute": Compute}
            table = tables.get(str(first["loc"][0]), Cluster)
            hint = nearest(str(first["loc"][-1]), list(table.model_fields))
            raise ConfigError(f"{source}: unknown key {name!r}.", hint=hint) from error
        if first["type"] == "missing":
            raise ConfigError(f"{source}: {name} is missing.", hint="See docs/how-to/plan-training.md.") from error
        said = "" if first["type"] == "value_error" else f" = {str(first['input'])[:40]}"
        reason = first["msg"].removeprefix("Value error, ").rstrip(".")
        raise ConfigError(f"{source}: {name}{said} is not valid: {reason}.") from error
