# The mean contribution around sites of the user's.

AGGREGATE_FILES = []
