"""What reads the pooled scanners of a network: normalisation, one hidden layer, an output for each target."""

from typing import cast

from torch import nn


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
