"""Runtimes: one file each for what runs workloads on a device, found by name in `hwsearch.devices.runtimes.catalogue`."""
