# One entry for each motif of all targets and methods, and which motifs stand together.

COMPENDIUM_FILES = []
