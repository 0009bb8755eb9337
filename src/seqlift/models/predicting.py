"""What a model says of many sequences, batch by batch."""

import numpy as np
import torch
from torch import Tensor, nn

from seqlift.models.outputs import ProfileOutput

BATCH = 512  # regions; fixed, so that no setting changes a prediction


def predict(
    model: nn.Module,
    codes: np.ndarray,
    *,
    control: np.ndarray | None = None,
    device: str | torch.device = "cpu",
    batch_size: int = BATCH,
) -> np.ndarray | ProfileOutput:
    """Predictions of sequences: the model in evaluation mode, as it is used and explained.

    Parameters
    ----------
    model : torch.nn.Module
        See `seqlift.models.build_model`; moved to `device` and set to evaluation mode.
    codes : numpy.ndarray, shape (N, L), uint8
        0 to 3 for A C G T, 4 for N.
    control : numpy.ndarray, shape (N, C, W), float32, optional
        Counts of the control tracks, for a model that has them.
    device : str
    batch_size : int
        Sequences at a time.

    Returns
    -------
    numpy.ndarray, shape (N, T), float32, or ProfileOutput of two arrays
        (N, T, S, W) and (N, T).
    """
    model = model.to(device).eval()
    bases = torch.arange(4, dtype=torch.uint8, device=device)[:, None]
    found: list[tuple[Tensor, ...]] = []
    with torch.inference_mode():
        for first in range(0, len(codes), batch_size):
            batch = slice(first, first + batch_size)
            moved = torch.from_numpy(np.ascontiguousarray(codes[batch])).to(device)[:, None]  # one byte for a base
            given = [torch.eq(moved, bases).float()]  # (B, 4, L)
            if control is not None:
                given.append(torch.from_numpy(np.ascontiguousarray(control[batch])).to(device))
            result = model(*given)
            found.append(result if isinstance(result, ProfileOutput) else (result,))
    parts = [torch.cat([part.float().cpu() for part in column]).numpy() for column in zip(*found, strict=True)]
    return ProfileOutput(*parts) if len(parts) == 2 else parts[0]  # type: ignore[arg-type]  # of arrays
