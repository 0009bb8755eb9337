"""Measured signal, read from bigWig files: reads, fragments or cut sites at every base, summed over replicates.

A bigWig holds a value for each base that something was measured at. Counts of a region, which a model regresses on, are
the sum over a window in its middle; its profile is the values themselves. Where an experiment tells the strands of DNA
apart (ChIP-exo, ChIP-nexus, PRO-seq), each strand has a file of its own.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Signal:
    """The base-resolution signal of a table's regions, memory-mapped.

    Attributes
    ----------
    values : numpy.ndarray, shape (N, T, S, margin + window + margin), float32
        Of each region, target and strand (plus, minus), replicates summed; 0 where unknown.
    control : numpy.ndarray or None, shape (N, C, margin + window + margin), float32
        Of the control experiments of all targets, in the order of the targets, plus before minus.
    known : numpy.ndarray, shape (N, T), bool
        Where a target has a measured signal.
    window : int
        bp.
    margin : int
        bp on either side, room for jitter.
    control_strands : int
        1 or 2: strands of each control; 0 without.
    """

    values: np.ndarray
    control: np.ndarray | None
    known: np.ndarray
    window: int
    margin: int
    control_strands: int = 0

    def tracks(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Values and control as (N, channels, width) arrays, each with the channel that is its own on the other strand.

        Read from the other strand, plus and minus are exchanged.
        """
        n, n_targets, strands, width = self.values.shape
        tracks = [(self.values.reshape(n, n_targets * strands, width), _swapped(n_targets * strands, strands))]
        if self.control is not None:
            tracks.append((self.control, _swapped(self.control.shape[1], self.control_strands)))
        return tracks


def _swapped(channels: int, strands: int) -> np.ndarray:
    return np.arange(channels) ^ (1 if strands == 2 else 0)
