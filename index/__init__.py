"""The engine, and the collection it keeps on disk. NumPy, Numba and the standard library only."""
