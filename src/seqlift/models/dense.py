"""What reads the pooled scanners of a network: normalisation, one hidden layer, an output for each target."""

from typing import cast

from torch import nn

# Standard deviations above the mean at which a filter of the last block starts to answer, so that an average is of few
# good matches and not of the base composition. On small data sets the validation loss falls up to a threshold of 3 and
# no further.
FIRST_THRESHOLD = 3.0


def dense_head(channels: int, units: int, outputs: int, dropout: float) -> list[nn.Module]:
    """Layers (N, channels) -> (N, outputs), the last one linear; channels and units are dropped in training."""
    return [
        nn.BatchNorm1d(channels),
        nn.Dropout(dropout),
        nn.Linear(channels, units),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(units, outputs),
    ]


def bias_of(layer: nn.Module) -> nn.Parameter:
    """The bias of a layer that has one, as `nn.Sequential` does not say which layers it holds."""
    return cast(nn.Parameter, layer.bias)
