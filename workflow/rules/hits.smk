# Where each pattern is used.

HIT_FILES = []
