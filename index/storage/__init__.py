"""Bytes on disk: segments, documents in SQLite, manifests, and how a change becomes visible."""
