"""Tracks: numbers of single bases laid on genome coordinates, as bigWig, to be read beside genes and peaks.

What was not scored is absent from a track, not zero: bases outside all regions, and bases that are N, which have
nothing that could contribute. Where regions overlap, a declared policy says which number a base takes
(`seqlift.tracks.laying`). The value at a base is exactly (float32) what the score file holds, and every track is read
back and compared with it.
"""
