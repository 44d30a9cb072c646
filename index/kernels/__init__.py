"""Compiled search. Arrays and scalars in, arrays out; each has a plain twin in `tests/naive`."""
