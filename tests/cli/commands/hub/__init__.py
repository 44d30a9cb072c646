"""`lsr push` and `lsr pull`."""
