"""Do patterns get the names of known motifs that they are like, and no others? Prints Markdown.

    OMP_NUM_THREADS=1 python benchmarks/naming.py > benchmarks/results/naming.md

Patterns that are no motif, random ones and columns of known motifs in random order, are named as those of a run are,
and so are known motifs with the noise of a real cluster of seqlets. Each is compared with the database by itself, so
that no correction for many patterns helps. Beside it are the names by TOMTOM's own p-values: memelite's,
which seqlift starts from, and those of MEME's `tomtom` where it is on PATH. Half an hour on one core.
"""

import argparse
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from printing import machine, table, versions

from seqlift.motifs.database import Database, load_database
from seqlift.motifs.information import information_content
from seqlift.motifs.naming import FLAT_SHARE, SHUFFLES, Match, _compare, calibrated_p, name_patterns

THRESHOLD, E_VALUE = 0.01, 0.05
LIKE = 0.001  # p of one comparison; a pair of unlike motifs reaches it once in a thousand
WIDTHS = (8, 50)  # bp, both included
SITES, FLANK = 100, 3  # seqlets in a planted pattern, and bp beside its motif
NOISES = (0.0, 0.1, 0.2)  # share of random bases in the planted sites
DIRICHLET = (0.1, 0.3, 1.0)  # of random columns, from nearly one base to flat


@dataclass(frozen=True)
class Planted:
    """A known motif as a cluster of noisy seqlets shows it, shape (4, w), and its index in the database."""

    matrix: np.ndarray
    index: int


def random_patterns(n: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Columns from Dirichlet distributions, a third of the patterns from each."""
    return [rng.dirichlet([DIRICHLET[i % 3]] * 4, rng.integers(WIDTHS[0], WIDTHS[1] + 1)).T for i in range(n)]


def shuffled_patterns(database: Database, n: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Columns of a known motif in random order; of several where one is not wide enough."""
    patterns = []
    for _ in range(n):
        width = rng.integers(WIDTHS[0], WIDTHS[1] + 1)
        columns = np.empty((4, 0))
        while columns.shape[1] < width:
            columns = np.hstack([columns, database.matrices[rng.integers(len(database.ids))]])
        patterns.append(columns[:, rng.permutation(columns.shape[1])[:width]])
    return patterns


def planted_patterns(database: Database, n: int, noise: float, rng: np.random.Generator) -> list[Planted]:
    """Known motifs, in their newest versions, as PFMs of `SITES` sites with random bases among and beside them."""
    newest = {identifier.split(".")[0]: i for i, identifier in enumerate(database.ids)}
    patterns = []
    for index in rng.permutation(list(newest.values()))[:n]:
        matrix = database.matrices[index]
        wide = np.full((4, matrix.shape[1] + 2 * FLANK), 0.25)
        wide[:, FLANK:-FLANK] = (1 - noise) * matrix + noise / 4
        counts = [rng.multinomial(SITES, column / column.sum()) for column in wide.T]
        patterns.append(Planted(np.stack(counts, axis=1) / SITES, int(index)))
    return patterns


def strongest_sites(matrix: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """PFM of the quarter of 400 sites that fit the motif best: what seqlets chosen by their scores look like."""
    bases = np.stack([rng.choice(4, 4 * SITES, p=column / column.sum()) for column in matrix.T], axis=1)
    fit = np.log2(matrix + 0.01)[bases, np.arange(matrix.shape[1])].sum(axis=1)
    best = bases[np.argsort(-fit, kind="stable")[:SITES]]
    core = (best[:, None, :] == np.arange(4)[None, :, None]).mean(axis=0)
    flanks = [rng.multinomial(SITES, [0.25] * 4) / SITES for _ in range(2 * FLANK)]
    return np.column_stack([*flanks[:FLANK], core, *flanks[FLANK:]])


def meme_tomtom(patterns: list[np.ndarray], database: Database) -> list[float] | None:
    """Smallest E-value of each pattern by MEME's own tomtom (Euclidean distance, complete scores), if it is there."""
    if shutil.which("tomtom") is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        for name, matrices in (("patterns.meme", patterns), ("known.meme", database.matrices)):
            lines = ["MEME version 4", "", "ALPHABET= ACGT", ""]
            for i, matrix in enumerate(matrices):
                lines += [f"MOTIF {i}", f"letter-probability matrix: alength= 4 w= {matrix.shape[1]} nsites= {SITES}"]
                lines += [" ".join(f"{share:.6f}" for share in column) for column in matrix.T]
            Path(folder, name).write_text("\n".join(lines) + "\n")
        command = ["tomtom", "-text", "-dist", "ed", "-min-overlap", "1", "-evalue", "-thresh", str(len(database.ids))]
        command += [f"{folder}/patterns.meme", f"{folder}/known.meme"]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    smallest = [np.inf] * len(patterns)
    header, *lines = [line.split("\t") for line in done.stdout.splitlines() if line and line[0] != "#"]
    for line in lines:
        row = dict(zip(header, line, strict=True))
        i = int(row["Query_ID"])
        smallest[i] = min(smallest[i], float(row["E-value"]))
    return smallest


def name_each(patterns: list[np.ndarray], database: Database) -> list[Match]:
    """Named one at a time."""
    return [name_patterns([pattern], database, threshold=THRESHOLD)[0] for pattern in patterns]


def share(values) -> str:
    return f"{100 * np.mean(values):.1f} %"


def compare_with_raw(patterns: list[np.ndarray], matches: list[Match], database: Database) -> list[str]:
    """Cells: named, memelite below p 0.01, memelite's E below 0.05, MEME's E below 0.05."""
    raw = np.array([match.p_tomtom for match in matches])
    tomtom = meme_tomtom(patterns, database)
    return [
        share([match.named for match in matches]),
        share(raw <= THRESHOLD),
        share(raw * len(database.ids) < E_VALUE),
        "not on PATH" if tomtom is None else share(np.array(tomtom) < E_VALUE),
    ]


def like(database: Database, i: int, j: int) -> bool:
    """Whether the second known motif is like the first, by TOMTOM's p-value of this one comparison."""
    return float(_compare([database.matrices[i]], database)[0][0, j]) <= LIKE


def planted_rows(database: Database, n: int) -> tuple[list[list[str]], list[Planted], list[Match]]:
    """Rows of the table of planted motifs, and those of the middle noise with their matches."""
    rows, kept = [], ([], [])
    for noise in NOISES:
        planted = planted_patterns(database, n, noise, np.random.default_rng(3))
        matches = name_each([one.matrix for one in planted], database)
        bits = np.array([information_content(database.matrices[one.index]).sum() for one in planted])
        own = [
            database.names[m.index].upper() == database.names[one.index].upper()
            for one, m in zip(planted, matches, strict=True)
        ]
        alike = [same or like(database, one.index, m.index) for same, one, m in zip(own, planted, matches, strict=True)]
        named = np.array([match.named for match in matches])
        groups: list[tuple[str, Callable[[np.ndarray], np.ndarray]]] = [
            ("all", lambda b: b > -1),
            ("under 8", lambda b: b < 8),
            ("8 to 12", lambda b: (b >= 8) & (b < 12)),
            ("12 and more", lambda b: b >= 12),
        ]
        for label, belongs in groups:
            chosen = belongs(bits)
            if chosen.any():
                right = np.array(own)[chosen & named], np.array(alike)[chosen & named]
                cells = [share(right[0]), share(right[1])] if len(right[0]) else ["", ""]
                rows.append([f"{100 * noise:.0f} %", label, str(chosen.sum()), share(named[chosen]), *cells])
        if noise == NOISES[1]:
            kept = planted, matches
    return rows, *kept


def flat_share_lines(database: Database, n: int) -> list[str]:
    """What mixing in a share of flat background does for patterns made of the strongest sites."""
    rng = np.random.default_rng(4)
    rows = []
    wanted = [i for i, matrix in enumerate(database.matrices) if information_content(matrix).sum() >= 8]
    chosen = rng.permutation(wanted)[:n]
    patterns = [strongest_sites(database.matrices[i], rng) for i in chosen]
    for flat in (0.0, FLAT_SHARE, 0.2):
        p = []
        for pattern in patterns:
            mixed = (1 - flat) * pattern + flat / 4
            best = float(_compare([mixed], database)[0].min())
            p.append(calibrated_p(mixed, best, database, seed=1))
        rows.append([f"{flat:g}", f"{np.median(p):.2g}", share(np.array(p) <= THRESHOLD)])
    return [table(["share", "median p", f"p at most {THRESHOLD}"], rows)]


def spread_over_seeds(patterns: list[np.ndarray], matches: list[Match], database: Database, n: int) -> str:
    """How far p varies with the seed of the shuffles, for patterns with a name."""
    named = [(one, match) for one, match in zip(patterns, matches, strict=True) if match.named][:n]
    spread = []
    for pattern, match in named:
        mixed = (1 - FLAT_SHARE) * pattern + FLAT_SHARE / 4
        p = [calibrated_p(mixed, match.p_tomtom, database, seed=seed) for seed in range(2, 7)]
        spread.append(np.std(np.log(p), ddof=1))
    low, middle, high = np.exp(np.quantile(spread, [0.25, 0.5, 0.75]))
    return (
        f"Over five seeds, p of {len(named)} named patterns varies by a factor of {middle:.2f} "
        f"(standard deviation of ln p as a factor; quartiles {low:.2f} and {high:.2f}), with {SHUFFLES} shuffles."
    )


def print_nulls(database: Database, n: int) -> None:
    """The section of patterns that are no motif, `n` of each kind."""
    print(f"\n## Patterns that are no motif\n\n{WIDTHS[0]} to {WIDTHS[1]} bp wide; random: columns from Dirichlet")
    print(f"distributions of {DIRICHLET}.\n", flush=True)
    kinds = {
        "random": random_patterns(n, np.random.default_rng(1)),
        "columns shuffled": shuffled_patterns(database, n, np.random.default_rng(2)),
    }
    rows = []
    for kind, patterns in kinds.items():
        matches = name_each(patterns, database)
        groups = {kind: slice(None)}
        if kind == "random":
            groups |= {f"of them, Dirichlet {size}": slice(i, None, 3) for i, size in enumerate(DIRICHLET)}
        for label, part in groups.items():
            named, *raw = compare_with_raw(patterns[part], matches[part], database)
            low = share([match.p <= 0.05 for match in matches[part]])
            rows.append([label, str(len(patterns[part])), named, low, *raw])
    header = ["patterns", "n", "named", "p ≤ 0.05", f"memelite p ≤ {THRESHOLD}", f"memelite E < {E_VALUE}"]
    print(table([*header, f"MEME tomtom E < {E_VALUE}"], rows), flush=True)


def print_planted(database: Database, n: int, n_few: int) -> None:
    """The section of `n` planted motifs at each noise, and that of the settings, measured on `n_few`."""
    print(f"\n## Planted motifs\n\nPFMs of {SITES} sites with this share of random bases, and {FLANK} bp on")
    print(
        f"either side. Of those named: the same factor, and that or a motif like its own (TOMTOM's p at most {LIKE}).\n"
    )
    rows, planted, matches = planted_rows(database, n)
    print(table(["noise", "bits", "n", "named", "same factor", "same or like"], rows), flush=True)
    matrices = [one.matrix for one in planted]
    _, raw, e_value, tomtom = compare_with_raw(matrices, matches, database)
    print(f"\nBeside it, at {100 * NOISES[1]:.0f} % noise: memelite p ≤ {THRESHOLD} {raw}, E < {E_VALUE} {e_value};")
    print(f"MEME tomtom E < {E_VALUE}: {tomtom}.\n\n## Settings\n")
    print("A share of flat background is mixed into each pattern before it is compared. Patterns of the strongest")
    print("quarter of a motif's sites, as seqlets are:\n")
    print("\n".join(flat_share_lines(database, n_few)), flush=True)
    print("\n" + spread_over_seeds(matrices, matches, database, n_few))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", default="jaspar:vertebrates", help="default: %(default)s")
    parser.add_argument(
        "--patterns", type=int, default=500, help="of each kind that is no motif (default: %(default)s)"
    )
    parser.add_argument("--planted", type=int, default=80, help="known motifs at each noise (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="few of each: its numbers mean nothing")
    parser.add_argument("--only", choices=["nulls", "planted"], help="print the header and this part alone")
    options = parser.parse_args()
    n, n_planted, n_few = (8, 3, 1) if options.quick else (options.patterns, options.planted, 20)
    database = load_database(options.database)

    print(f"# Names\n\n{machine(torch.device('cpu'))}. {versions('memelite', 'pyjaspar', 'scipy', 'seqlift')}.")
    print(f"{database.name}, {database.release}: {len(database.ids)} motifs in all their versions. Threshold of names:")
    print(f"calibrated p at most {THRESHOLD}, each pattern by itself.", flush=True)
    if options.only != "planted":
        print_nulls(database, n)
    if options.only != "nulls":
        print_planted(database, n_planted, n_few)


if __name__ == "__main__":
    main()
