"""Runs of any origin, compared on the same judgements."""
