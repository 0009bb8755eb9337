"""Hits: fit the patterns to the contributions of all regions, and list where the model uses them."""
