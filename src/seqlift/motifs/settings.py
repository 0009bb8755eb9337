"""TF-MoDISco's settings, by its own names, and the rules they must keep."""

from dataclasses import dataclass
from typing import get_type_hints

from seqlift.errors import SeqliftError


@dataclass(frozen=True)
class ModiscoSettings:
    """Settings of TF-MoDISco; those of its own command line, but for those with a reason.

    Attributes
    ----------
    sliding_window_size, flank_size : int, bp
        The core of a seqlet, over which contributions are summed, and what is added on either side of it.
    target_seqlet_fdr : float
        False discovery rate of seqlets.
    min_passing_windows_frac, max_passing_windows_frac : float
        Least and largest share of windows that may become seqlets, whatever the false discovery rate says.
    min_metacluster_size : int
        Seqlets of one sign are clustered only if there are more than this.
    trim_to_window_size, initial_flank_to_add, final_flank_to_add : int, bp
        Patterns are cut to their most important bases, and get so many on either side, before and after merging. Its
        own 30 + 2 × 10 bp lose seqlets near the ends of a region, half of them in regions of 200 bp; 24 + 2 × 3 bp
        hold nearly all known motifs.
    nearest_neighbors_to_compute : int
        Neighbours of each seqlet in the graph that is clustered. Its own 500 are meant for 20,000 seqlets; of 2,000 a
        quarter of all would count as neighbours.
    n_leiden_runs : int
        Clusterings from different seeds, of which the best counts. The better of two rarely differs.
    final_min_cluster_size : int
        Fewest seqlets of a pattern.
    """

    sliding_window_size: int = 20
    flank_size: int = 5
    target_seqlet_fdr: float = 0.05
    min_passing_windows_frac: float = 0.03
    max_passing_windows_frac: float = 0.2
    min_metacluster_size: int = 100
    trim_to_window_size: int = 24
    initial_flank_to_add: int = 3
    final_flank_to_add: int = 0
    nearest_neighbors_to_compute: int = 250
    n_leiden_runs: int = 1
    final_min_cluster_size: int = 20

    def __post_init__(self) -> None:
        for name in ("sliding_window_size", "trim_to_window_size"):
            self._least(name, 5)
        for name in ("flank_size", "nearest_neighbors_to_compute", "n_leiden_runs", "final_min_cluster_size"):
            self._least(name, 1)
        for name in ("initial_flank_to_add", "final_flank_to_add"):
            self._least(name, 0)
        self._least("min_metacluster_size", self.final_min_cluster_size)
        for name in ("target_seqlet_fdr", "min_passing_windows_frac", "max_passing_windows_frac"):
            if not 0 < getattr(self, name) < 1:
                raise SeqliftError(f"`{name}` (={getattr(self, name)}) must be between 0 and 1")
        if self.min_passing_windows_frac > self.max_passing_windows_frac:
            raise SeqliftError(
                f"`min_passing_windows_frac` (={self.min_passing_windows_frac}) must not be larger than "
                f"`max_passing_windows_frac` (={self.max_passing_windows_frac})"
            )

    def _least(self, name: str, least: int) -> None:
        if getattr(self, name) < least:
            raise SeqliftError(f"`{name}` (={getattr(self, name)}) must be at least {least}")

    @property
    def shortest(self) -> int:
        """Least bp of a region that must be searched: a seqlet and a pattern, and room to lie in different places."""
        seqlet = self.sliding_window_size + 2 * self.flank_size
        pattern = self.trim_to_window_size + 2 * (self.initial_flank_to_add + self.final_flank_to_add)
        return max(seqlet, pattern) + 20


def parse_settings(pairs: list[str]) -> ModiscoSettings:
    """Settings from `name=value` words; those not named keep their defaults.

    Raises
    ------
    SeqliftError
        If a name is unknown, or a value is no number or out of range.
    """
    types = get_type_hints(ModiscoSettings)
    given = {}
    for pair in pairs:
        name, _, value = pair.partition("=")
        if name not in types:
            raise SeqliftError(f"{name!r} is no setting of TF-MoDISco; there are {', '.join(types)}")
        try:
            given[name] = types[name](value)
        except ValueError:
            kind = "a whole number" if types[name] is int else "a number"
            raise SeqliftError(f"`{name}` (={value!r}) must be {kind}, as in {name}={types[name]()}") from None
    return ModiscoSettings(**given)
