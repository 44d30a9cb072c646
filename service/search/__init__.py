"""A search of the service: what is asked for, passages of what was found, and cursors."""
