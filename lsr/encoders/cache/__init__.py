"""Vectors that networks made, kept on disk by model and text."""
