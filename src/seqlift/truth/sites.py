"""What was planted: the motifs of a target and where their sites are."""

import os

import pandas as pd

from seqlift.data.simulate import Simulation
from seqlift.errors import SeqliftError


def motifs_of(simulation: Simulation, target: str, path: str | os.PathLike) -> tuple[str, ...]:
    """The motifs that a sequence of the target must hold.

    Raises
    ------
    SeqliftError
        If `path`, which speaks of the target, is of no simulated one.
    """
    if target not in simulation.targets:
        raise SeqliftError(
            f"{path}: the target {target!r} is none of those that were simulated ({', '.join(simulation.targets)}; "
            f"{simulation.folder / 'simulation.json'})"
        )
    return simulation.targets[target]


def planted_sites(simulation: Simulation, motifs: tuple[str, ...]) -> pd.DataFrame:
    """Sites of these motifs: chrom, start, end (bp, 0-based, end exclusive), name (of the motif), strand."""
    return simulation.sites[simulation.sites["name"].isin(motifs)].reset_index(drop=True)
