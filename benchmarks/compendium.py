"""Are patterns merged that are one motif, and no others? Is grammar found that is there, and no other? Prints Markdown.

    OMP_NUM_THREADS=1 python benchmarks/compendium.py > benchmarks/results/compendium.md

Patterns that have nothing to do with each other (random ones, and columns of known motifs in random order) go into one
compendium, and so do known motifs as two methods would show them: of different seqlets, reverse-complemented, cut
differently.
Then it searches for grammar between independent sites, and between sites of which some lie at a
fixed distance. Ten minutes on one core.
"""

import argparse
import time

import numpy as np
import torch
from naming import random_patterns, shuffled_patterns
from printing import machine, table, versions

from seqlift.motifs.alignment import align
from seqlift.motifs.compendium.merging import Found, cluster
from seqlift.motifs.database import Database, load_database
from seqlift.motifs.folder import StoredPattern
from seqlift.motifs.grammar.pairs import MotifSites, examine
from seqlift.motifs.information import information_content

THRESHOLD, SIMILARITY = 0.01, 0.9  # the defaults
SITES, NOISE = 100, 0.1
LENGTH, WIDTH, MAX_SPACING = 500, 12, 150


def found(matrix: np.ndarray, number: int, method: str) -> Found:
    """A pattern without flanks; its CWM is what its frequencies are above a quarter."""
    nothing = np.zeros(0, int)
    stored = StoredPattern(
        f"pos_{number}", matrix, matrix - 0.25, matrix - 0.25, 0, matrix.shape[1], False, nothing, nothing, nothing
    )
    return Found("output", method, None, stored)


def merged(groups: list[list[Found]]) -> int:
    return sum(len(group) for group in groups if len(group) > 1)


def unlike_rows(database: Database, n: int) -> list[list[str]]:
    """How many patterns that have nothing to do with each other are merged, by each criterion and by both."""
    rows = []
    for kind, matrices in (
        ("random", random_patterns(n, np.random.default_rng(1))),
        ("columns shuffled", shuffled_patterns(database, n, np.random.default_rng(2))),
    ):
        patterns = [found(matrix, i, "m") for i, matrix in enumerate(matrices)]
        cells = [
            str(merged(cluster(patterns, database, threshold, similarity)))
            for threshold, similarity in ((THRESHOLD, -1.0), (np.inf, SIMILARITY), (THRESHOLD, SIMILARITY))
        ]
        rows.append([kind, str(n), *cells])
    return rows


def copy(matrix: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A known motif as one run shows it: `SITES` sites with noise, cut up to 1 bp off, reverse-complemented or not."""
    noisy = (1 - NOISE) * matrix + NOISE / 4
    wide = np.concatenate([np.full((4, 2), 0.25), noisy, np.full((4, 2), 0.25)], axis=1)
    counts = np.stack([rng.multinomial(SITES, column / column.sum()) for column in wide.T], axis=1) / SITES
    counts = counts[:, rng.integers(0, 2) : counts.shape[1] - rng.integers(0, 2)]
    return counts[::-1, ::-1] if rng.integers(2) else counts


def planted_rows(database: Database, n: int) -> tuple[list[list[str]], str]:
    """How many of `n` known motifs are one motif again after two methods have shown them."""
    newest = {identifier.split(".")[0]: i for i, identifier in enumerate(database.ids)}
    rng = np.random.default_rng(3)
    chosen = rng.permutation(list(newest.values()))[:n]
    patterns = [
        found(copy(database.matrices[motif], rng), i, method) for method in ("a", "b") for i, motif in enumerate(chosen)
    ]
    groups = cluster(patterns, database, THRESHOLD, SIMILARITY)
    group_of = {(one.method, one.pattern.name): number for number, group in enumerate(groups) for one in group}
    together = np.array([group_of["a", f"pos_{i}"] == group_of["b", f"pos_{i}"] for i in range(n)])
    bits = np.array([information_content(database.matrices[motif]).sum() for motif in chosen])
    likeness = [
        float(align(database.matrices[chosen[i]] - 0.25, [database.matrices[chosen[k]] - 0.25])[0][0])
        for i in range(n)
        for k in range(i)
        if group_of["a", f"pos_{i}"] == group_of["a", f"pos_{k}"]
    ]
    rows = [
        [label, str(belongs.sum()), f"{100 * together[belongs].mean():.1f} %"]
        for label, belongs in (
            ("under 8", bits < 8),
            ("8 to 12", (bits >= 8) & (bits < 12)),
            ("12 and more", bits >= 12),
        )
        if belongs.any()
    ]
    least = f", whose own cosine is at least {min(likeness):.2f}" if likeness else ""
    return rows, f"{len(likeness)} pairs of different known motifs came together{least}."


def random_sites(n_regions: int, share: float, rng: np.random.Generator) -> MotifSites:
    """Sites in a share of the regions, one or two each, more often in the middle."""
    region = np.flatnonzero(rng.random(n_regions) < share)
    region = np.sort(np.concatenate([region, region[rng.random(len(region)) < 0.3]]))
    start = np.clip(rng.normal(LENGTH / 2, 80, len(region)), 0, LENGTH - WIDTH).astype(int)
    order = np.lexsort((start, region))
    return MotifSites(WIDTH, region[order], start[order], rng.random(len(region)) < 0.5, rng.random(len(region)))


def look(a: MotifSites, b: MotifSites, codes: np.ndarray) -> tuple[float, float, float, float]:
    """p of being together, of the orientation and of the distance, and the distance."""
    together, (arranged, _) = examine(a, b, codes, MAX_SPACING)
    return together.p, arranged.orientation_p, arranged.spacing_p, arranged.spacing


def grammar_rows(n_pairs: int, n_regions: int) -> tuple[list[list[str]], list[list[str]]]:
    """Shares of p below some levels without grammar, and of planted distances that are found."""
    rng = np.random.default_rng(4)
    codes = rng.integers(0, 4, (n_regions, LENGTH)).astype(np.uint8)
    p = np.array([look(random_sites(n_regions, 0.4, rng), random_sites(n_regions, 0.3, rng), codes)[:3]
                  for _ in range(n_pairs)])  # fmt: skip
    null = [[f"{level:g}", *(f"{share:.3f}" for share in (p <= level).mean(axis=0))] for level in (0.01, 0.05, 0.2)]
    planted = []
    for share in (0.0025, 0.005, 0.01):
        right = []
        for _ in range(20):
            a, b = random_sites(n_regions, 0.4, rng), random_sites(n_regions, 0.3, rng)
            moved = rng.random(len(a.region)) < share / 0.4
            start = a.start[moved] + np.where(a.forward[moved], 25, -25)
            inside = (start >= 0) & (start + WIDTH <= LENGTH)
            columns = [(b.region, a.region[moved][inside]), (b.start, start[inside]),
                       (b.forward, a.forward[moved][inside]), (b.size, np.ones(inside.sum()))]  # fmt: skip
            region, start, forward, size = (np.concatenate(pair) for pair in columns)
            order = np.lexsort((start, region))
            b = MotifSites(WIDTH, region[order], start[order], forward[order], size[order])
            *_, spacing_p, spacing = look(a, b, codes)
            right.append(spacing == 25 and spacing_p <= 0.01)
        planted.append([f"{100 * share:g} %", f"{np.mean(right):.2f}"])
    return null, planted


def seconds(call) -> str:
    start = time.perf_counter()
    call()
    return f"{time.perf_counter() - start:.1f} s"


def time_rows(database: Database, n_regions: int) -> list[list[str]]:
    """What it costs at full size."""
    rng = np.random.default_rng(5)
    patterns = [found(matrix, i, "m") for i, matrix in enumerate(random_patterns(400, rng))]
    a, b = random_sites(n_regions, 0.4, rng), random_sites(n_regions, 0.3, rng)
    codes = rng.integers(0, 4, (n_regions, LENGTH)).astype(np.uint8)
    return [
        ["400 patterns compared and merged", seconds(lambda: cluster(patterns, database, THRESHOLD, SIMILARITY))],
        [f"one pair of motifs in {n_regions:,} regions of {LENGTH} bp", seconds(lambda: look(a, b, codes))],
    ]


def main() -> None:
    """Print the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of everything, to see that it runs")
    arguments = parser.parse_args()
    part = 10 if arguments.quick else 1
    database = load_database("jaspar:vertebrates")
    where = f"{machine(torch.device('cpu'))}; {versions('numpy', 'scipy', 'memelite', 'pyjaspar')}"
    print(f"# Compendium and grammar\n\n{where}.")
    print(
        f"\n## Patterns that are not one motif\n\nMerged with any other at a threshold of {THRESHOLD} and a cosine of"
    )
    print(f"{SIMILARITY}, by each alone and by both; 8 to 50 bp wide, all of a kind in one compendium.\n")
    print(table(["kind", "patterns", "TOMTOM alone", "cosine alone", "both"], unlike_rows(database, 500 // part)))
    rows, others = planted_rows(database, 300 // part)
    print("\n## Patterns that are one motif\n\nKnown motifs, each shown twice by")
    print(f"{SITES} sites with {100 * NOISE:.0f} % random bases, cut up to 1 bp off and reverse-complemented or not.\n")
    print(table(["bits", "motifs", "merged"], rows))
    print(f"\n{others}")
    null, planted = grammar_rows(500 // part, 2000)
    print("\n## Grammar\n\nPairs of motifs that know nothing of each other, 2,000 regions: share of p at most ...\n")
    print(table(["level", "together", "orientation", "spacing"], null))
    print("\nOf 20 pairs 25 bp apart on one strand in some of the regions, how many are found (p at most")
    print("0.01, the right distance):\n")
    print(table(["regions", "found"], planted))
    print("\n## Time\n")
    print(table(["what", "time"], time_rows(database, 100_000 // part)))


if __name__ == "__main__":
    main()
