"""Needs of a run: models, files, folders and packages, checked before its first step."""
