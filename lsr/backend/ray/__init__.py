"""Shards on a Ray cluster: built by its tasks, served by its actors. Needs the extra `ray`."""
