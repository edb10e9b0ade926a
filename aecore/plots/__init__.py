"""Plots: arrays drawn as Plotly figures and composed images."""
