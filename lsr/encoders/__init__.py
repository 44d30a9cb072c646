"""Encoders: text to sparse or dense vectors. `registry` opens them by name."""
