"""Training configs: every choice, its range and default; presets; YAML files."""
