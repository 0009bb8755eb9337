"""Custom models: any `torch.nn.Module` by its import path, with keyword arguments (`seqlift.models.importing`).

The class is called with `length` and `n_targets` (for a profile also `strands`, `window` and `control_channels`) and
the `arguments` of the config. The model takes one-hot sequences (N, 4, length) and returns (N, n_targets); for a
profile it also takes control tracks (N, control_channels, window) if there are any, and returns logits (N, n_targets,
strands, window) and log counts (N, n_targets).
"""

from torch import Tensor, nn

from seqlift.errors import SeqliftError
from seqlift.models.importing import current_folder_first, load_class, located
from seqlift.models.outputs import ProfileOutput
from seqlift.models.shape import Shape


class CustomProfile(nn.Module):
    """A custom model for a profile, whose tuple becomes a `ProfileOutput`."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, sequences: Tensor, control: Tensor | None = None) -> ProfileOutput:
        """Profile logits (N, T, S, W) and log counts (N, T)."""
        found = self.network(sequences) if control is None else self.network(sequences, control)
        return ProfileOutput(*found) if isinstance(found, tuple | list) and len(found) == 2 else found


def build_custom(path: str, arguments: dict, head: str, shape: Shape) -> nn.Module:
    """Make a custom model.

    Parameters
    ----------
    path : str
        package.module:Class.
    arguments : dict
        Keyword arguments besides those that every model has.
    head : str
    shape : Shape

    Raises
    ------
    SeqliftError
        If the class cannot be loaded (`load_class`), or calling it fails.
    """
    made_by = load_class(path)
    names = ("length", "n_targets", *(("strands", "window", "control_channels") if head == "profile" else ()))
    repeated = [name for name in arguments if name in names]
    if repeated:
        raise SeqliftError(f"model.arguments names {repeated[0]!r}, which seqlift passes to {path} itself; remove it")
    try:
        with current_folder_first():
            network = made_by(**{name: getattr(shape, name) for name in names}, **arguments)
    except Exception as error:
        raise SeqliftError(
            f"model.type (={path!r}): calling it with {', '.join([*names, *arguments])} failed: {located(error)}; the "
            "class must take these keyword arguments: correct model.arguments or the class"
        ) from error
    return CustomProfile(network) if head == "profile" else network
