"""Latency measurement: protocol, schedule, and intervals.

Candidates are timed by *interleaved visits to fresh loads in fresh processes*:

1. **Processes.** A group of candidates is timed in several fresh processes (`TimingProtocol.processes`), because what a
   model takes depends on where a process puts it in memory (`schedule.measure_process`).
2. **Loads.** In each process every candidate is loaded afresh several times, and warmed up each time.
3. **Visits.** All loads that are alive are visited in random order, again and again; a visit is one block of runs. So a
   disturbance of the host meets all candidates alike. Several loads of a reference network are candidates, too.
4. **Host speed.** A median polish along time (`statistics.median_polish`) splits the logarithm of each block into the
   candidate's effect and the host's level; what remains of each load is a latency as a share of the reference's.
5. **Ratios.** `ratios.ratio_estimates` joins the processes: their common shifts are taken out, the candidates' variances
   between *periods* are drawn to a common one (Smyth 2004). Processes that follow each other count as one look.
6. **Level.** `level.host_level` takes the typical latency of the reference over all periods of the campaign, and how well
   another campaign would agree. `estimate.combine` multiplies both.
7. **Until it is known.** Candidates whose own interval is wider than `TimingProtocol.half_width` get further processes.

The latency is the typical one on this host over the time of the campaign. Its interval is where another campaign of that
length, on another day on this host, finds it, with the protocol's confidence; the interval of the ratio to the reference is
narrower, and decides the order of subnets on one device.
Operators are profiled by the same idea: `operator_profile`, `operator_sums`, `covering`.
"""
