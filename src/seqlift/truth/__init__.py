"""Comparison of a run on simulated data with the planted sites."""
