"""A run on simulated data held against what was planted."""
