"""Where a model runs: on a GPU where there is one, and never silently on another device than requested."""

import logging
import re
import warnings

import torch

from seqlift.core.gpus import claim_gpus, visible_gpus
from seqlift.errors import SeqliftError

log = logging.getLogger(__name__)


def choose_device(device: str | torch.device | None) -> torch.device:
    """`"auto"` or None: a GPU where there is one, else the CPU.

    Raises
    ------
    SeqliftError
        If CUDA is requested where there is none.
    """
    if device is None or str(device) == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError:
        raise SeqliftError(f"device {device!r} does not exist: unknown to torch; use auto, cpu or cuda") from None
    if chosen.type == "cuda" and not torch.cuda.is_available():
        raise SeqliftError(
            f"device {device!r} was requested, but torch sees no GPU: no CUDA GPU can be used here; use `cpu` or `auto`"
        )
    return chosen


def describe_device(device: str | torch.device, count: int = 1) -> str:
    """What a stage writes into its log behind `device: `, where `report.provenance.costs` finds it for provenance.json.

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


def take_device(device: str, *, most: int | None = 1) -> tuple[str, int | None]:
    """What `--device` asks for, taken before a stage reads any data; to be called before CUDA starts.

    Parameters
    ----------
    device : str
        "auto", "cpu" or "cuda"; or "gpu=N", for a job that was given N GPUs by Snakemake or a cluster: N GPUs that no
        other such job of this user uses, or for N = 0 the CPU, also where there is a GPU.
    most : int or None
        How many GPUs the stage can use; None for any number.

    Returns
    -------
    device : {"auto", "cpu", "cuda"}
    n : int or None
        Number of GPUs claimed (0: the CPU); None where none were counted.

    Raises
    ------
    SeqliftError
        If the GPUs are not there: the job does not run on the CPU instead.
    """
    counted = re.fullmatch(r"gpu=(\d+)", device)
    if counted is None:
        if device not in ("auto", "cpu", "cuda"):
            raise SeqliftError(f"--device (={device!r}) must be auto, cpu, cuda or gpu=N, N being a whole number")
        choose_device(device)
        return device, None
    n = int(counted[1])
    if most is not None and n > most:
        raise SeqliftError(
            f"--device (={device!r}): this stage computes on {most} GPU, and would leave the others idle; ask for "
            f"gpu={most} (--set-resources RULE:gpu={most}, or in the profile)"
        )
    if n > 0:
        _take_gpus(n)
        return "cuda", n
    if torch.cuda.is_available():
        log.info("on the CPU as requested (gpu=0), although torch can use a GPU")
    return "cpu", 0


def _take_gpus(n: int) -> None:
    """Claim `n` GPUs and see that torch can use them."""
    if not torch.backends.cuda.is_built():
        raise _missing(n, f"torch {torch.__version__} is one for the CPU only")
    gpus = visible_gpus()
    if gpus is None:  # torch may still find them, AMD's for example
        log.info("without the answer of nvidia-smi GPUs have no name: other jobs may use the same one at the same time")
    elif len(gpus) < n:
        raise _missing(n, f"there are {len(gpus)} that this job may use (nvidia-smi -L, CUDA_VISIBLE_DEVICES)")
    else:
        claim_gpus(n, gpus)
    with warnings.catch_warnings(record=True) as said:  # why CUDA does not start: an old driver, for example
        warnings.simplefilter("always")
        found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if found < n:
        reasons = "".join(f" ({str(warning.message).strip()})" for warning in said[:1])
        raise _missing(n, f"torch {torch.__version__} can use {found}{reasons}")


def _missing(n: int, found: str) -> SeqliftError:
    return SeqliftError(
        f"{n} CUDA GPU{'s were' if n > 1 else ' was'} requested (--device gpu={n}: the rule's resource gpu, from "
        f"nvidia-smi, --set-resources or a profile), but {found}. Nothing was computed. Install a torch that is built "
        "with CUDA, or run the job where the GPUs are; to compute on the CPU, say so: --set-resources RULE:gpu=0, "
        "gpu: 0 in the profile, or on one machine --resources gpu=0 for all rules"
    )
