"""Indexes and models brought to repositories of the Hugging Face hub, and fetched from there."""
