"""Readers of single files: one module a kind; `kinds.py` says which suffix is whose."""
