"""A small Basset: motif scanners whose hits are averaged over the sequence and read by a dense layer.

After Kelley, Snoek & Rinn, Genome Research 26:990 (2016): blocks of convolution, batch normalisation, ReLU and max
pooling, then dense layers; the filters of the first block become motif scanners. Instead of giving each position
weights of its own, the last block is averaged over positions and normalised: with some thousand regions that is what
finds the motifs at all, and sums are exact to explain.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from seqlift.core.settings import setting
from seqlift.errors import SeqliftError
from seqlift.models.dense import FIRST_THRESHOLD, bias_of
from seqlift.models.settings import COUNTS, DROPOUT, Architecture, Head, Kind, Layer


@dataclass(frozen=True, kw_only=True)
class BassetSettings(Architecture):
    """Blocks of convolution and pooling, the mean of each filter over the sequence, dense layers."""

    filters: tuple[int, ...] = setting(
        (64,),
        "Number of filters of each convolution block.",
        advice="[64, 64] makes two blocks; the second one sees how motifs are arranged. More filters learn more "
        "motifs.",
        schema={**COUNTS, "minItems": 1},
    )
    kernels: tuple[int, ...] = setting(
        (19,),
        "Width of the filters of each block, bp in the first block, pooled positions after it.",
        advice="At least the width of the longest expected motif in the first block.",
        schema={**COUNTS, "minItems": 1},
    )
    pools: tuple[int, ...] = setting(
        (1,),
        "Width and stride of the max pooling of each block, 1 for none.",
        advice="Pool by 5 or so before a second block.",
        schema={**COUNTS, "minItems": 1},
    )
    dense: tuple[int, ...] = setting((32,), "Number of units of each dense layer.", schema=COUNTS)
    dropout: float = setting(
        0.3,
        "Fraction of the averaged filters, and of the units of each dense layer, dropped in training.",
        advice="Raise it against overfitting (training loss falls, validation loss rises).",
        schema=DROPOUT,
    )

    def check(self) -> Iterator[tuple[str, str]]:
        """One entry of each list for each block."""
        counts = {key: len(getattr(self, key)) for key in ("filters", "kernels", "pools")}
        if len(set(counts.values())) > 1:
            found = ", ".join(f"{key} has {count}" for key, count in counts.items())
            yield "filters", f"and kernels and pools need one entry for each block; {found}"

    def shortest_window(self) -> tuple[int, str]:
        """Pooling leaves at least one position."""
        return math.prod(self.pools), "pools"

    def layers_of(self, head: Head, outputs: int) -> list[Layer]:
        """Pooling divides the positions of the next block."""
        layers, share = [], 1.0
        for channels, filters, kernel, pool in zip(
            (4, *self.filters), self.filters, self.kernels, self.pools, strict=False
        ):
            layers.append(Layer(share, filters, channels * kernel))
            share /= pool
        return layers


class Basset(nn.Module):
    """Convolution blocks, mean over positions, dense layers.

    Parameters
    ----------
    length : int
        Input length, bp.
    n_targets : int
        Number of outputs T.
    filters : sequence of int
        Filters of each convolution block.
    kernels : sequence of int
        Width of each block's filters: bp in the first block, pooled positions in the later ones.
    pools : sequence of int
        Width and stride of each block's max pooling, in positions of that block; 1: none.
    dense : sequence of int
        Units of each dense layer.
    dropout : float
        Share of the averaged filters, and of the units of each dense layer, dropped in training.
    """

    def __init__(
        self,
        *,
        length: int,
        n_targets: int,
        filters: Sequence[int] = BassetSettings.filters,
        kernels: Sequence[int] = BassetSettings.kernels,
        pools: Sequence[int] = BassetSettings.pools,
        dense: Sequence[int] = BassetSettings.dense,
        dropout: float = BassetSettings.dropout,
    ):
        super().__init__()
        if not len(filters) == len(kernels) == len(pools) >= 1:
            raise SeqliftError(
                f"model.filters, model.kernels and model.pools must have the same length, one entry for each block "
                f"(now {len(filters)}, {len(kernels)} and {len(pools)})"
            )
        layers: list[nn.Module] = []
        channels, positions = 4, length
        for n_filters, kernel, pool in zip(filters, kernels, pools, strict=True):
            normalised = nn.BatchNorm1d(n_filters)
            layers += [nn.Conv1d(channels, n_filters, kernel, padding="same", bias=False), normalised, nn.ReLU()]
            if pool > 1:
                layers.append(nn.MaxPool1d(pool))
            channels, positions = n_filters, positions // pool
        if positions < 1:
            raise SeqliftError(f"model.pools (={list(pools)}) leave nothing of a length of {length} bp; pool less")
        nn.init.constant_(normalised.bias, -FIRST_THRESHOLD)
        layers += [nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.BatchNorm1d(channels), nn.Dropout(dropout)]
        for n_units in dense:
            layers += [nn.Linear(channels, n_units), nn.ReLU(), nn.Dropout(dropout)]
            channels = n_units
        layers.append(nn.Linear(channels, n_targets))
        self.layers = nn.Sequential(*layers)

    @property
    def output_bias(self) -> nn.Parameter:
        """Of the last layer, (T,)."""
        return bias_of(self.layers[-1])

    def forward(self, sequences: Tensor) -> Tensor:
        """Outputs (N, T) of one-hot `sequences` (N, 4, L)."""
        return self.layers(sequences)


ARCHITECTURE = Kind(BassetSettings, Basset)
