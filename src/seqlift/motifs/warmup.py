"""Compile TF-MoDISco, TOMTOM and seqlift's own loops once, at installation: `python -m seqlift.motifs.warmup`.

numba turns this Python into machine code at its first use, which takes a core one to two minutes, and keeps the result
beside the installed package (or in numba's cache folder, where that is read-only). Without this the first jobs of the
first run do it, each for itself. It changes no result.
"""

import multiprocessing

import numpy as np

from seqlift.core.metrics import auroc_auprc
from seqlift.motifs.database import Database
from seqlift.motifs.hits.fit import fit_hits
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


def compile_own() -> None:
    """Draw references, explain a network with ReLU, find hits and compute an AUROC, all on made-up sequences."""
    import torch
    from torch import nn

    from seqlift.attribution.deeplift import deeplift
    from seqlift.data.windows import one_hot

    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, (4, 40)).astype(np.uint8)
    model = nn.Sequential(nn.Conv1d(4, 2, 5), nn.ReLU(), nn.Flatten(), nn.Linear(72, 1))
    deeplift(model, one_hot(torch.from_numpy(codes)), n_references=2)
    contributions = rng.normal(size=codes.shape)
    fit_hits(contributions, codes, [rng.normal(size=(4, 8))], 0.7)
    auroc_auprc(contributions[0], contributions[0] > 0)


def compile_naming_and_own() -> None:
    """Everything but motif discovery, which takes about as long as the rest together."""
    compile_naming()
    compile_own()


if __name__ == "__main__":
    others = multiprocessing.get_context("spawn").Process(target=compile_naming_and_own)
    others.start()
    compile_discovery()
    others.join()
    raise SystemExit(others.exitcode)
