"""Plan of a training's cost on a cluster: bytes of each step, collectives, routing over a leaf-spine network, calibration."""

from hwsearch.training.planning.calibration import Calibration, calibrate
from hwsearch.training.planning.cluster import Cluster, Compute, Network, Topology, parse_cluster, read_cluster
from hwsearch.training.planning.collectives import COLLECTIVES, Round, rounds_of
from hwsearch.training.planning.cost import Cost, split_table, stage_costs, step_rounds
from hwsearch.training.planning.demand import Counted, Demand, stage_demand
from hwsearch.training.planning.routing import ROUTINGS, Timing, time_collective
from hwsearch.training.planning.split import Piece, ecmp_busiest, split_flows, split_load

__all__ = [
    "COLLECTIVES",
    "ROUTINGS",
    "Calibration",
    "Cluster",
    "Compute",
    "Cost",
    "Counted",
    "Demand",
    "Network",
    "Piece",
    "Round",
    "Timing",
    "Topology",
    "calibrate",
    "ecmp_busiest",
    "parse_cluster",
    "read_cluster",
    "rounds_of",
    "split_flows",
    "split_load",
    "split_table",
    "stage_costs",
    "stage_demand",
    "step_rounds",
    "time_collective",
]
