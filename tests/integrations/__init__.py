"""The integrations against the real packages."""
