"""Settings that all networks have, and what the file of an architecture declares."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from seqlift.core.settings import Settings, setting

Head = Literal["classes", "counts", "profile"]

DROPOUT = {"minimum": 0, "exclusiveMaximum": 1}
COUNTS = {"items": {"type": "integer", "minimum": 1}}
"""Schema of a list with one number for each layer."""


class Layer(NamedTuple):
    """A convolution, for the cost of a network.

    Attributes
    ----------
    share : float
        Positions at which it is computed, relative to the length of the sequence.
    filters : int
        Output channels.
    weights : int
        Weights of each filter.
    """

    share: float
    filters: int
    weights: int


@dataclass(frozen=True, kw_only=True)
class Architecture(Settings):
    """Base of the settings of an architecture, which also declare the shortest window and the cost of the network."""

    def shortest_window(self) -> tuple[int, str]:
        """Length in bp of the shortest window that it reads, and the setting that decides."""
        return 1, ""

    def layers_of(self, head: Head, outputs: int) -> list[Layer]:
        """Its convolutions, with `outputs` outputs of that head."""
        raise NotImplementedError


class Kind(NamedTuple):
    """An architecture.

    Attributes
    ----------
    settings : type of Architecture
    network : callable
        Makes the `torch.nn.Module` of the heads `classes` and `counts` from `length`, `n_targets` and the settings.
    profile_network : callable, optional
        Makes that of the head `profile`, from `strands`, `window` and `control_channels` as well.
    """

    settings: type[Architecture]
    network: Callable[..., Any]
    profile_network: Callable[..., Any] | None = None

    @property
    def heads(self) -> tuple[Head, ...]:
        """Heads that it has."""
        return ("classes", "counts", "profile") if self.profile_network else ("classes", "counts")


@dataclass(frozen=True, kw_only=True)
class ModelSettings(Settings):
    """The network. The keys besides `type`, `head`, `both_strands` and `replicates` are those of the type."""

    type: str = setting(
        "basset",
        "Architecture: `deepbind`, one convolution, the maximum and the mean of each filter, a dense layer; `basset`, "
        "blocks of convolution and pooling, their mean over the sequence, dense layers; `dilated`, residual dilated "
        "convolutions, the trunk of BPNet; `paper`, the network of the DeepLIFT paper's genomics experiment; or "
        "`package.module:Class`, your own class. The workflow runs its code: use only classes that you trust as you "
        "trust your own scripts.",
    )
    head: Head = setting(
        "classes",
        "What is predicted for each target: `classes`, whether a region contains a peak; `counts`, log(1 + signal in "
        "the window); `profile`, the distribution of the signal over the bases of the window, and log(1 + its sum).",
        advice="counts and profile need `signal`; profile also needs type dilated or your own.",
    )
    both_strands: bool = setting(
        False,
        "Average predictions over the sequence and its reverse complement.",
        advice="A little better, at twice the time of prediction and attribution.",
    )
    replicates: int = setting(
        1,
        "Number of networks with different initial weights, trained together in one job; the prediction is their "
        "mean. A list of `training.seed` trains models in separate jobs.",
        advice="Better for few regions; each replicate costs its time again, in training and attribution. 5 is plenty.",
        minimum=1,
    )
