"""Cost of a run on this machine, measured with its own networks."""
