"""Tracks: numbers of single bases laid on genome coordinates, as bigWig, to be read beside genes and peaks.

What was not scored is absent from a track, not zero: bases outside all regions, and bases that are N, which have
nothing that could contribute. Where regions overlap, a declared policy says which number a base takes
(`seqlift.tracks.laying`). The value at a base is exactly (float32) what the score file holds, and every track is read
back and compared with it.
"""

from seqlift.tracks.laying import POLICIES, lay
from seqlift.tracks.sizes import read_sizes
from seqlift.tracks.verifying import verify_track
from seqlift.tracks.writing import TrackSummary, write_track

__all__ = ["POLICIES", "TrackSummary", "lay", "read_sizes", "verify_track", "write_track"]
