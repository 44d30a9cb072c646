"""Training runs: stages, trainer, evaluation on the way, and the folder of a run."""
