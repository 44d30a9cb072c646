"""Snapshots: copies of a collection that are whole, checked, carried away and brought back."""
