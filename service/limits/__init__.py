"""Limits of the service: connections, requests at once, rates, bodies, and deadlines."""
