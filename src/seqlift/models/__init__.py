"""Sequence models: one-hot DNA (N, 4, L) in, and for each target a logit, a log count, or a profile and a log count.

`seqlift.models.architectures` has the networks, `seqlift.models.outputs` what they predict.
"""
