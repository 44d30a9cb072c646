"""The service under requests that schemathesis makes of its own description."""
