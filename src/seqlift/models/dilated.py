"""A dilated residual CNN for one number a target: the trunk of BPNet, averaged over positions.

The mean over positions is read by a dense layer, so the attributions are spared the jumps of max pooling. The same
trunk with a prediction for every base is in `seqlift.models.profile`.
"""

from torch import Tensor, nn

from seqlift.models.dense import bias_of, dense_head
from seqlift.models.trunk import Trunk


class Dilated(nn.Module):
    """A wide convolution, residual dilated convolutions, mean over positions, a dense layer.

    Parameters
    ----------
    length : int
        Input length, bp.
    n_targets : int
        Number of outputs T.
    filters : int
        Channels throughout.
    kernel : int
        Width of the first convolution, bp.
    layers : int
        Residual layers; layer i = 1, 2, ... has dilation 2**i bp.
    sparse : bool
        Whether the first convolution's channels begin by answering to good matches only.
    dense : int
        Units of the dense layer.
    dropout : float
        Share of the averaged channels and of the dense units dropped in training.
    """

    def __init__(
        self,
        *,
        length: int,
        n_targets: int,
        filters: int = 64,
        kernel: int = 21,
        layers: int = 4,
        sparse: bool = False,
        dense: int = 32,
        dropout: float = 0.3,
    ):
        super().__init__()
        self.trunk = Trunk(length=length, filters=filters, kernel=kernel, layers=layers, sparse=sparse)
        self.pool = nn.AdaptiveAvgPool1d(1)
        self.head = nn.Sequential(nn.Flatten(), *dense_head(filters, dense, n_targets, dropout))

    @property
    def output_bias(self) -> nn.Parameter:
        """Of the last layer, (T,)."""
        return bias_of(self.head[-1])

    def forward(self, sequences: Tensor) -> Tensor:
        """Outputs (N, T) of one-hot `sequences` (N, 4, L)."""
        return self.head(self.pool(self.trunk(sequences)))
