"""Where a model runs: on a GPU where there is one, and never silently elsewhere than asked."""

import torch

from seqlift.errors import SeqliftError


def choose_device(device: str | torch.device | None) -> torch.device:
    """`"auto"` or None: a GPU where there is one, else the CPU.

    Raises
    ------
    SeqliftError
        If CUDA is asked for where there is none.
    """
    if device is None or str(device) == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError:
        raise SeqliftError(f"device {device!r} does not exist: unknown to torch; use auto, cpu or cuda") from None
    if chosen.type == "cuda" and not torch.cuda.is_available():
        raise SeqliftError(
            f"device {device!r} was asked for, but torch sees no GPU: no CUDA GPU can be used here; use `cpu` or `auto`"
        )
    return chosen
