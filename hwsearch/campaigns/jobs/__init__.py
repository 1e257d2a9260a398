"""Jobs: subnets measured on devices, through the store's queue, and on data."""
