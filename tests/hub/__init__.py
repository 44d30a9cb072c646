"""Indexes and models to and from a stand-in of the hub, over HTTP on loopback."""
