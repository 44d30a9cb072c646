"""Training learned sparse encoders. Empty for now: the encoders issue fills it."""
