"""Models of what goes over the wire."""
