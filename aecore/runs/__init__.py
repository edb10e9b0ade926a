"""Runs: the store of trained models, and the tasks that train them."""
