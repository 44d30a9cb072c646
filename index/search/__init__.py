"""Searchers over one segment: exact, by blocks, or whichever costs less; their calibration."""
