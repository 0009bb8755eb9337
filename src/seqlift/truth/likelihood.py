"""How likely a sequence, or a window of it, is under the very process that made the simulated data."""

import itertools

import numpy as np

from seqlift.data.simulate import Motif, Simulation


def likelihood_ratios(sequences: np.ndarray, simulation: Simulation) -> dict[str, np.ndarray]:
    """How much likelier each sequence is to belong to a target than not, under the very process that made it.

    A sequence holds each subset of the motifs equally often, and belongs to a target if it holds all its motifs. A
    motif that is there is there 1 to `max_instances` times, each count equally often, and all non-overlapping
    placements are equally likely. So the likelihood of a subset, over that of pure background, is the mean over counts
    and placements of the product of the instances' `site_ratio`.

    Parameters
    ----------
    sequences : array, shape (N, L), uint8
        Base codes, A, C, G, T = 0 to 3.
    simulation : Simulation

    Returns
    -------
    dict
        Target to the ratio of likelihoods, shape (N,).
    """
    motifs = list(simulation.motifs.values())
    site_ratios = [site_ratio(sequences, motif, simulation.background) for motif in motifs]
    widths = [motif.width for motif in motifs]
    sums = _sum_over_placements(site_ratios, widths, sequences.shape[1], simulation.max_instances)
    ones = [np.ones((1, ratio.shape[1])) for ratio in site_ratios]
    placements = _sum_over_placements(ones, widths, sequences.shape[1], simulation.max_instances)

    found = {}
    for target, wanted in simulation.targets.items():
        needed = {list(simulation.motifs).index(name) for name in wanted}
        inside, outside = np.zeros((2, len(sequences)))
        for counts, total in sums.items():
            if not placements[counts]:  # they do not fit
                continue
            present = {i for i, count in enumerate(counts) if count}
            # The share of this combination of counts among the sequences that hold these motifs
            likelihood = total / placements[counts] / simulation.max_instances ** len(present)
            if needed <= present:
                inside += likelihood
            else:
                outside += likelihood
        found[target] = inside / outside
    return found


def site_ratio(sequences: np.ndarray, motif: Motif, background: np.ndarray) -> np.ndarray:
    """Likelihood of each window as an instance of the motif, either strand alike, over that as background.

    Parameters
    ----------
    sequences : array, shape (N, L), uint8
        Base codes, A, C, G, T = 0 to 3.
    motif : Motif
        Of width W.
    background : array, shape (4,)

    Returns
    -------
    array, shape (N, L - W + 1)
    """
    ratio = motif.probabilities / background[:, None]  # (4, W)
    reverse_complement = motif.probabilities[::-1, ::-1] / background[:, None]
    windows = max(0, sequences.shape[1] - motif.width + 1)
    forward, reverse = np.ones((2, len(sequences), windows))
    for i in range(motif.width):
        column = sequences[:, i : i + windows]
        forward *= ratio[column, i]
        reverse *= reverse_complement[column, i]
    return (forward + reverse) / 2


def _sum_over_placements(
    site_ratios: list[np.ndarray], widths: list[int], length: int, most: int
) -> dict[tuple[int, ...], np.ndarray]:
    """Sum over all non-overlapping placements of the product of ratios, for each count of instances of each motif.

    `sums[i]` holds the sums over placements within the first i bases. The last of these bases either belongs to no
    instance or ends one. `site_ratios` has an array (N, length - width + 1) for each motif; result: counts to (N,).
    """
    n = len(site_ratios[0])
    all_counts = list(itertools.product(range(most + 1), repeat=len(widths)))
    sums = [{counts: np.full(n, float(not any(counts))) for counts in all_counts}]
    for i in range(1, length + 1):
        here = dict(sums[i - 1])
        for counts in all_counts:
            for m, width in enumerate(widths):
                if counts[m] and i >= width:
                    before = sums[i - width][(*counts[:m], counts[m] - 1, *counts[m + 1 :])]
                    here[counts] = here[counts] + before * site_ratios[m][:, i - width]
        sums.append(here)
        if i >= max(widths):
            sums[i - max(widths)] = {}  # out of reach now: memory stays small
    return sums[length]
