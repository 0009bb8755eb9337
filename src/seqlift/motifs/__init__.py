"""Motifs: short patterns that the model uses, their names, logos and places in the genome."""
