"""Past one machine: sharded collections beside one collection."""
