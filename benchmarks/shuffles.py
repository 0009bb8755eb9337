"""How many shuffles a second, and of how many arrangements? seqlift beside tangermeme; prints Markdown.

    python benchmarks/shuffles.py > benchmarks/results/shuffles.md

Both are given the same one-hot sequences and give one-hot shuffles, 20 of each sequence. They take turns, round after
round, in a process that is bound to one core and in one bound to two; ratios are those within a round.
"""

import argparse
import itertools
import os
import subprocess
import sys
import time
from collections import Counter
from statistics import median

N_SEQUENCES, N_SHUFFLES = 64, 20
LENGTHS = (200, 1000, 2114)
SHORT = ("ACAGATACA", "AACCGGTTACGT", "TTTATTCATTA", "GACATCGAGT", "CACCACAACCCA", "GATTTACATG")


def rounds(cores: int, n_rounds: int) -> None:
    """Print one row of the table for each length, timed in this process."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    import torch
    from tangermeme.ersatz import dinucleotide_shuffle

    from seqlift.attribution.references import dinucleotide_shuffles, klet_shuffles

    torch.set_num_threads(cores)
    contestants = {
        "seqlift": lambda x, seed: dinucleotide_shuffles(x, N_SHUFFLES, seed),
        "tangermeme": lambda x, seed: dinucleotide_shuffle(x, n=N_SHUFFLES, random_state=seed, n_jobs=cores),
        "mononucleotide": lambda x, seed: klet_shuffles(1)(x, N_SHUFFLES, seed),
        "klet:3": lambda x, seed: klet_shuffles(3)(x, N_SHUFFLES, seed),
        "klet:6": lambda x, seed: klet_shuffles(6)(x, N_SHUFFLES, seed),
    }
    for length in LENGTHS:
        codes = torch.randint(0, 4, (N_SEQUENCES, length), generator=torch.Generator().manual_seed(0))
        x = torch.nn.functional.one_hot(codes, 4).transpose(1, 2).float().contiguous()
        times = {name: [] for name in contestants}
        for seed in range(n_rounds + 2):
            for name, shuffle in contestants.items():
                begin = time.perf_counter()
                shuffle(x, seed)
                times[name].append(time.perf_counter() - begin)
        rates = {name: [N_SEQUENCES * N_SHUFFLES / t for t in each[2:]] for name, each in times.items()}  # 2: warm-up
        ratios = [a / b for a, b in zip(rates["seqlift"], rates["tangermeme"], strict=True)]
        spread = f"{median(ratios):.2f} [{min(ratios):.2f}, {max(ratios):.2f}]"
        cells = {name: f"{median(each):,.0f}" for name, each in rates.items()}
        others = (cells[name] for name in ("mononucleotide", "klet:3", "klet:6"))
        print("\t".join([f"{length:,}", str(cores), cells["seqlift"], cells["tangermeme"], spread, *others]))


def arrangements(sequence: str) -> tuple[str, ...]:
    """Sequence, arrangements with its dinucleotide counts and first base, how many of them each library draws."""
    import numpy as np
    import torch
    from tangermeme.ersatz import dinucleotide_shuffle

    from seqlift.data.shuffle import dinucleotide_shuffle as shuffle

    def extend(path: str, left: Counter):
        if len(path) == len(sequence):
            yield path
        for pair in [pair for pair, n in left.items() if n and pair[0] == path[-1]]:
            yield from extend(path + pair[1], left - Counter([pair]))

    possible = set(extend(sequence[0], Counter(map("".join, itertools.pairwise(sequence)))))
    codes = np.array([["ACGT".index(base) for base in sequence]], dtype=np.uint8)
    x = torch.eye(4)[torch.from_numpy(codes).long()].transpose(1, 2)
    n = 500 * len(possible)
    drawn = shuffle(codes, n, seed=0)[0], dinucleotide_shuffle(x, n=n, random_state=0)[0].argmax(1).numpy()
    counts = (len({"".join("ACGT"[base] for base in row) for row in rows} & possible) for rows in drawn)
    return (sequence, str(len(possible)), *map(str, counts))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--cores", type=int, help=argparse.SUPPRESS)  # in the processes that this one starts
    options = parser.parse_args()
    if options.cores:
        rounds(options.cores, options.rounds)
        return

    import torch
    from printing import machine, table, versions

    print(f"# Shuffles\n\n{machine(torch.device('cpu'))}. {versions('numpy', 'numba', 'seqlift', 'tangermeme')}.")
    print(f"Load average of the machine before the start: {os.getloadavg()[0]:.1f}.\n")
    print(f"Dinucleotide shuffles a second, {N_SHUFFLES} of each of {N_SEQUENCES} sequences, one-hot to one-hot:")
    print("Medians over rounds, in brackets the smallest and the largest. The last three columns: other shuffles.\n")
    rows = []
    for cores in (1, 2):
        environment = os.environ | {name: str(cores) for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS")}
        command = [sys.executable, __file__, "--cores", str(cores), "--rounds", str(options.rounds)]
        done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
        rows += [line.split("\t") for line in done.stdout.splitlines()]
    header = ["bp", "cores", "seqlift", "tangermeme", "ratio", "mononucleotide", "klet:3", "klet:6"]
    print(table(header, sorted(rows, key=lambda row: (int(row[0].replace(",", "")), row[1]))))
    print("\nArrangements with the same dinucleotide counts and the same first base, and how many of them are drawn at")
    print("all, in 500 shuffles for each of them (tangermeme keeps the last exit of each base):\n")
    print(table(["sequence", "arrangements", "seqlift", "tangermeme"], [list(arrangements(each)) for each in SHORT]))


if __name__ == "__main__":
    main()
