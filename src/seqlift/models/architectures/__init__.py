"""The architectures: one file each, which declares its settings, heads, shortest window, cost, and its networks.

A file holds an `ARCHITECTURE` (`seqlift.models.settings.Kind`) and is named as the architecture. Adding one takes
nothing else: the config, its schema, the template, the documentation and the training find it here.
"""
