"""A small Basset: motif scanners, pooling, and a dense reading of where things lie.

After Kelley, Snoek & Rinn, Genome Research 26:990 (2016): blocks of convolution, batch normalisation, ReLU and max
pooling, then dense layers. The first layer's filters become motif scanners; the pooling lets them move a little.
"""

from torch import Tensor, nn

from seqlift.errors import SeqliftError


class Basset(nn.Module):
    """Convolution blocks with max pooling, then dense layers.

    Parameters
    ----------
    length : int
        Input length, bp.
    n_targets : int
        Number of logits T.
    filters : sequence of int
        Filters of each convolution block.
    kernels : sequence of int
        Width of each block's filters: bp in the first block, pooled positions in the later ones.
    pools : sequence of int
        Width and stride of each block's max pooling, in positions of that block.
    dense : sequence of int
        Units of each dense layer.
    dropout : float
        Share of units dropped after each dense layer in training.
    """

    def __init__(
        self,
        *,
        length: int,
        n_targets: int,
        filters=(64, 64),
        kernels=(19, 7),
        pools=(5, 5),
        dense=(64,),
        dropout: float = 0.4,
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
            layers += [
                nn.Conv1d(channels, n_filters, kernel, padding="same", bias=False),  # the normalisation has the bias
                nn.BatchNorm1d(n_filters),
                nn.ReLU(),
                nn.MaxPool1d(pool),
            ]
            channels, positions = n_filters, positions // pool
        if positions < 1:
            raise SeqliftError(f"model.pools (={list(pools)}) leave nothing of a length of {length} bp; pool less")
        layers.append(nn.Flatten())
        units = channels * positions
        for n_units in dense:
            layers += [nn.Linear(units, n_units), nn.ReLU(), nn.Dropout(dropout)]
            units = n_units
        layers.append(nn.Linear(units, n_targets))
        self.layers = nn.Sequential(*layers)

    def forward(self, sequences: Tensor) -> Tensor:
        """Logits (N, T) of one-hot `sequences` (N, 4, L)."""
        return self.layers(sequences)
