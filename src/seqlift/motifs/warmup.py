"""Compile TF-MoDISco and TOMTOM once, when seqlift is installed: `python -m seqlift.motifs.warmup`.

Both are Python that numba turns into machine code at first use, about a minute's work for a core each, and keep the
result beside the installed package (or in numba's cache folder, where that is read-only). Without this the first motif
jobs of the first run do it, each for itself. It changes no result.
"""

import multiprocessing

import numpy as np

from seqlift.motifs.database import Database
from seqlift.motifs.modisco import find_patterns
from seqlift.motifs.naming import name_patterns
from seqlift.motifs.seqlets import choose_seqlets
from seqlift.motifs.settings import ModiscoSettings


def compile_discovery() -> int:
    """Run motif discovery on a made-up example; returns the number of patterns found (at least 1)."""
    rng = np.random.default_rng(0)
    n, length, width = 240, 80, 10
    codes = rng.integers(0, 4, (n, length))
    hypothetical = rng.normal(0, 0.01, (n, 4, length)).astype(np.float32)
    motif = rng.integers(0, 4, width)
    for row, start in enumerate(rng.integers(20, length - width - 20, n)):
        codes[row, start : start + width] = motif
        hypothetical[row, motif, start + np.arange(width)] += 1
    sequences = (codes[:, None, :] == np.arange(4)[None, :, None]).astype(np.int8)
    settings = ModiscoSettings()
    seqlets = choose_seqlets([(sequences, hypothetical)], n, settings=settings, max_seqlets=1000, seed=0)
    return len(find_patterns(seqlets, settings=settings).patterns)


def compile_naming() -> int:
    """Name one of some made-up motifs after itself; returns the number of names given (1)."""
    rng = np.random.default_rng(0)
    ids = tuple(str(i) for i in range(40))
    known = Database("", "", ids, ids, tuple(rng.dirichlet([0.3] * 4, 8).T for _ in ids))
    return len(name_patterns([known.matrices[0]], known, shuffles=50))


if __name__ == "__main__":
    naming = multiprocessing.get_context("spawn").Process(target=compile_naming)
    naming.start()
    compile_discovery()
    naming.join()
    raise SystemExit(naming.exitcode)
