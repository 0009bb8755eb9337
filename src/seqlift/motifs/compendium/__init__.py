"""The compendium: similar patterns of all targets, methods and folds merged into motifs, and where they are used."""
