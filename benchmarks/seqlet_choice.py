"""Which seqlets should TF-MoDISco cluster, where there are more than it may? Prints Markdown.

    OMP_NUM_THREADS=1 python benchmarks/seqlet_choice.py > benchmarks/results/seqlet_choice.md

Random sequences hold sites of twelve JASPAR motifs, the base that a site has being drawn from the motif's frequencies,
and hypothetical contributions that a model which knows them would give. The same number of seqlets is chosen in four
ways and clustered alike; a motif counts as found if a pattern is named after it among the twelve. Once all motifs are
equally frequent, once the longest, whose sites contribute most, lies in few regions. Five minutes on one core.
"""

import argparse
from dataclasses import dataclass, replace

import numpy as np
import torch
from output import known_motifs
from printing import machine, table, versions

from seqlift.motifs.database import Database
from seqlift.motifs.modisco import find_patterns
from seqlift.motifs.naming import name_patterns
from seqlift.motifs.seqlets import Seqlets, choose_seqlets
from seqlift.motifs.settings import ModiscoSettings

MOTIFS = 12
LENGTH = 200  # bp, what is searched of a region by default
SITES = 1.2  # planted in a region, on average
RARE = 0.002  # share of regions with the rare motif
NOISE = 0.02  # standard deviation of hypothetical contributions where nothing is planted
SEEDS = (1, 2, 3)
SETTINGS = ModiscoSettings()


@dataclass(frozen=True)
class Data:
    """Regions, shape (n, 4, L), and how many sites each motif has."""

    sequences: np.ndarray
    hypothetical: np.ndarray
    sites: np.ndarray


def make(motifs: Database, n: int, seed: int, *, rare: bool) -> Data:
    """Regions with sites of all motifs; of the first one only in a share `RARE` of them, if it is to be rare."""
    random = np.random.default_rng(seed)
    codes = random.integers(0, 4, (n, LENGTH))
    hypothetical = random.normal(0, NOISE, (n, 4, LENGTH)).astype(np.float32)
    sites = np.zeros(MOTIFS, int)
    for row in range(n):
        several = random.integers(int(rare), MOTIFS, random.poisson(SITES)).tolist()
        if rare and random.random() < RARE:
            several.append(0)
        for which in several:
            matrix = motifs.matrices[which]
            width = matrix.shape[1]
            start = int(random.integers(LENGTH - width))
            codes[row, start : start + width] = [random.choice(4, p=column / column.sum()) for column in matrix.T]
            hypothetical[row, :, start : start + width] += (matrix - 0.25) * random.uniform(0.5, 1)
            sites[which] += 1
    return Data((codes[:, None] == np.arange(4)[:, None]).astype(np.int8), hypothetical, sites)


def subset(everything: Seqlets, chosen: np.ndarray) -> Seqlets:
    return replace(
        everything,
        regions=everything.regions[chosen],
        starts=everything.starts[chosen],
        sums=everything.sums[chosen],
    )


def choices(data: Data, most: int) -> dict[str, Seqlets]:
    """Each way to choose `most` seqlets of each sign."""

    def choose(limit: int) -> Seqlets:
        blocks = [(data.sequences, data.hypothetical)]
        return choose_seqlets(blocks, len(data.sequences), settings=SETTINGS, max_seqlets=limit, seed=1)

    everything = choose(10**9)  # positive ones by falling strength, then negative ones
    signs = [np.flatnonzero(everything.sums > 0), np.flatnonzero(everything.sums < 0)]
    place = everything.regions * LENGTH + everything.starts
    ways = {
        "the first of the file, as `modisco motifs -n` does": lambda one: one[np.argsort(place[one])][:most],
        "the strongest": lambda one: one[:most],
        "even steps down the ranking": lambda one: one[:: max(1, len(one) // most)][:most],
    }
    found = {name: subset(everything, np.concatenate([way(one) for one in signs])) for name, way in ways.items()}
    return {**found, "half the strongest, half even steps (seqlift)": choose(most)}


def found_motifs(seqlets: Seqlets, motifs: Database) -> tuple[set[int], int]:
    """Which of the motifs name a pattern, and how many patterns there are."""
    patterns = find_patterns(seqlets, settings=SETTINGS).patterns
    matches = name_patterns([one.shown("pfm") for one in patterns], motifs, threshold=0.01, seed=1)
    return {one.index for one in matches if one.named}, len(patterns)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--regions", type=int, default=30_000)
    parser.add_argument("--seqlets", type=int, default=2000)
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    options = parser.parse_args()
    motifs = known_motifs(MOTIFS)
    print(f"# Which seqlets are clustered\n\n{machine(torch.device('cpu'))}. {versions('modisco-lite', 'seqlift')}.\n")
    print(
        f"{options.regions:,} regions, {options.seqlets:,} seqlets, {len(options.seeds)} sets of random sequences. "
        f"Planted: {', '.join(motifs.names)}.\n"
    )
    for title, rare in (("All motifs equally frequent", False), (f"{motifs.names[0]} rare", True)):
        found: dict[str, list[tuple[set[int], int]]] = {}
        stood_out, sites = [], []
        for seed in options.seeds:
            data = make(motifs, options.regions, seed, rare=rare)
            sites.append(data.sites[0])
            for name, seqlets in choices(data, options.seqlets).items():
                found.setdefault(name, []).append(found_motifs(seqlets, motifs))
            stood_out.append(seqlets.positive)
        print(f"## {title}\n")
        print(
            f"{np.mean(stood_out):,.0f} positive seqlets stood out, with {np.mean(sites):,.0f} sites of "
            f"{motifs.names[0]} (means).\n"
        )
        lines = [
            [
                name,
                ", ".join(f"{len(which)} of {MOTIFS}" for which, _ in runs),
                ", ".join("yes" if 0 in which else "no" for which, _ in runs),
                ", ".join(str(patterns) for _, patterns in runs),
            ]
            for name, runs in found.items()
        ]
        print(table(["chosen", "motifs found", f"{motifs.names[0]} among them", "patterns"], lines), end="\n\n")


if __name__ == "__main__":
    main()
