"""Applications: what has a task metric and baselines."""
