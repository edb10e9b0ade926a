"""Applications of trained autoencoders that have a task metric and baselines."""
