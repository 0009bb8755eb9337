"""Predictions of a model for many sequences, batch by batch."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from seqlift.data.windows import one_hot
from seqlift.errors import SeqliftError
from seqlift.models.outputs import ProfileOutput

BATCH = 512  # sequences; fixed, so that no setting changes a prediction


class Profiles(NamedTuple):
    """Predictions of a profile head as arrays; see `ProfileOutput`.

    Attributes
    ----------
    logits : numpy.ndarray, shape (N, T, S, W), float32
    log_counts : numpy.ndarray, shape (N, T), float32
    """

    logits: np.ndarray
    log_counts: np.ndarray


def predict(
    model: nn.Module,
    codes: np.ndarray,
    *,
    device: str | torch.device = "cpu",
    batch_size: int = BATCH,
) -> np.ndarray:
    """Predictions for sequences, with the model in evaluation mode.

    Parameters
    ----------
    model : torch.nn.Module
        See `seqlift.models.build.build_model`, without a profile head; moved to `device` and set to evaluation mode.
    codes : numpy.ndarray, shape (N, L), uint8
        0..3 for A C G T, 4 for N.
    device : str
    batch_size : int
        Sequences at a time.

    Returns
    -------
    numpy.ndarray, shape (N, T), float32
    """
    (found,) = _predict(model, codes, None, device, batch_size)
    return found


def predict_profiles(
    model: nn.Module,
    codes: np.ndarray,
    *,
    control: np.ndarray | None = None,
    device: str | torch.device = "cpu",
    batch_size: int = BATCH,
) -> Profiles:
    """Predictions of a model with a profile head for sequences.

    Parameters
    ----------
    model, codes, device, batch_size
        See `predict`.
    control : numpy.ndarray, shape (N, C, W), float32, optional
        Counts of the control tracks, for a model that takes them.
    """
    return Profiles(*_predict(model, codes, control, device, batch_size))


def _predict(
    model: nn.Module, codes: np.ndarray, control: np.ndarray | None, device: str | torch.device, batch_size: int
) -> list[np.ndarray]:
    """Each tensor that the model returns, for all sequences."""
    model = model.to(device).eval()
    found: list[tuple[Tensor, ...]] = []
    with torch.inference_mode():
        for first in range(0, len(codes), batch_size):
            batch = slice(first, first + batch_size)
            moved = torch.from_numpy(np.ascontiguousarray(codes[batch])).to(device)  # one byte per base
            given = [one_hot(moved)]  # (B, 4, L)
            if control is not None:
                given.append(torch.from_numpy(np.ascontiguousarray(control[batch])).to(device))
            result = model(*given)
            found.append(result if isinstance(result, ProfileOutput) else (result,))
    predictions = [torch.cat([part.float().cpu() for part in column]).numpy() for column in zip(*found, strict=True)]
    for values in predictions:
        wrong = np.flatnonzero(~np.isfinite(values).reshape(len(values), -1).all(1))
        if len(wrong):
            raise SeqliftError(
                f"the model's output for sequence {wrong[0]} (counted from 0) is not finite, nor that of "
                f"{len(wrong) - 1} more of {len(values)}: its weights hold NaN or are too large; train it again"
            )
    return predictions
