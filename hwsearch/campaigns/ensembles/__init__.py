"""Late fusion of several subnets: their common network, which of them are chosen, what they take together."""
