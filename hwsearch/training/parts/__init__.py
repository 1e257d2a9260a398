"""The parts of which a strategy assembles a training: schedule, data, subnets, loss, gradients, weights, feedback.

Each part is a model of its settings (`hwsearch.training.part.Part`) with defaults here; a strategy replaces what it needs.
"""
