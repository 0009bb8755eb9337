"""A small Basset: motif scanners whose hits are averaged over the sequence and read by a dense layer.

After Kelley, Snoek & Rinn, Genome Research 26:990 (2016): blocks of convolution, batch normalisation, ReLU and max
pooling, then dense layers; the filters of the first block become motif scanners. Instead of giving each position
weights of its own, the last block is averaged over positions and normalised: with some thousand regions that is what
finds the motifs at all, and sums are exact to explain.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from seqlift.errors import SeqliftError
from seqlift.models.dense import bias_of

# Standard deviations above the mean at which a filter of the last block starts to answer, so that an average is of few
# good matches and not of the base composition. On small data sets the validation loss falls up to a threshold of 3 and
# no further.
FIRST_THRESHOLD = 3.0


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
        filters: Sequence[int] = (64,),
        kernels: Sequence[int] = (19,),
        pools: Sequence[int] = (1,),
        dense: Sequence[int] = (32,),
        dropout: float = 0.3,
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
