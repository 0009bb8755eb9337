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


def describe_device(device: str | torch.device, count: int = 1) -> str:
    """What a stage writes into its log behind `device: `, where `seqlift.costs` finds it for provenance.json.

    The card with the CUDA and cuDNN that torch was built with, or `cpu` with its threads: sums are taken in an order
    that depends on both, so that results can differ in their last digits.
    """
    device = torch.device(device)
    if device.type == "cuda":
        versions = f"CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}"
        name = f"{torch.cuda.get_device_name(device)} ({versions})"
    else:
        threads = torch.get_num_threads()
        name = f"{device.type}, {threads} thread{'s' if threads > 1 else ''}"
    return name if count == 1 else f"{count} x {name}"
