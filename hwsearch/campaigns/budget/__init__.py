"""A budget of minutes for a whole campaign: what its steps cost, and what is measured less when they cost too much."""
