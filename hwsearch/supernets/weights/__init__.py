"""Where a subnet's weights come from, beside slices of shared ones."""
