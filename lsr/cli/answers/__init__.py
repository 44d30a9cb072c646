"""Answers of a search, local or of a service, made ready to be printed."""
