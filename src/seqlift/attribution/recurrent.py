"""Recurrent layers (LSTM, GRU, RNN and their cells) written out step by step, in operations that have DeepLIFT rules.

PyTorch runs each of these layers as one opaque operation; these are the same equations, as PyTorch documents them. They
are exact but slow: a step of a layer is about ten operations.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def lstm_cell(
    input: Tensor,
    hx: tuple[Tensor, Tensor],
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
    w_hr: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """One step of an LSTM: (h, c) from (h, c); `w_hr` projects h where `proj_size` is set."""
    h, c = hx
    i, f, g, o = (F.linear(input, w_ih, b_ih) + F.linear(h, w_hh, b_hh)).chunk(4, -1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    h = torch.sigmoid(o) * torch.tanh(c)
    return (h if w_hr is None else F.linear(h, w_hr)), c


def gru_cell(
    input: Tensor, hx: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor | None = None, b_hh: Tensor | None = None
) -> Tensor:
    """One step of a GRU: h from h."""
    i_r, i_z, i_n = F.linear(input, w_ih, b_ih).chunk(3, -1)
    h_r, h_z, h_n = F.linear(hx, w_hh, b_hh).chunk(3, -1)
    n = torch.tanh(i_n + torch.sigmoid(i_r + h_r) * h_n)
    return n + torch.sigmoid(i_z + h_z) * (hx - n)


def _rnn_cell(activation: Callable[[Tensor], Tensor]) -> Callable:
    """One step of a plain recurrent layer: h from h."""

    def cell(
        input: Tensor, hx: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor | None = None, b_hh: Tensor | None = None
    ) -> Tensor:
        return activation(F.linear(input, w_ih, b_ih) + F.linear(hx, w_hh, b_hh))

    return cell


def _layers(
    cell: Callable,
    input: Tensor,
    states: list[Tensor],
    weights: Sequence[Tensor],
    has_biases: bool,
    num_layers: int,
    bidirectional: bool,
) -> tuple[Tensor, ...]:
    """All layers over a sequence (T, N, features): the output, and the last state of each layer and direction."""
    directions = 2 if bidirectional else 1
    per_cell = len(weights) // (num_layers * directions)
    outputs, last = input, []
    for layer in range(num_layers):
        both = []
        for direction in range(directions):
            index = layer * directions + direction
            own: list[Tensor | None] = list(weights[index * per_cell : (index + 1) * per_cell])
            if not has_biases:
                own[2:2] = [None, None]
            state = tuple(s[index] for s in states) if len(states) > 1 else states[0][index]
            steps = range(len(outputs)) if direction == 0 else range(len(outputs) - 1, -1, -1)
            made = {}
            for t in steps:
                state = cell(outputs[t], state, *own)
                made[t] = state[0] if len(states) > 1 else state
            both.append(torch.stack([made[t] for t in range(len(outputs))]))
            last.append(state if len(states) > 1 else (state,))
        outputs = torch.cat(both, -1)
    return outputs, *(torch.stack(each) for each in zip(*last, strict=True))


def _over_time(cell: Callable) -> Callable:
    def run(input: Tensor, hx: Any, *rest: Any) -> tuple[Tensor, ...]:
        if isinstance(rest[0], Tensor):  # (data, batch_sizes, hx, weights, ...)
            raise NotImplementedError("packed sequences; pass a padded tensor")
        weights, has_biases, num_layers, dropout, train, bidirectional, batch_first = rest
        if train and dropout:
            raise NotImplementedError("it drops at random also in evaluation")
        states = list(hx) if isinstance(hx, tuple | list) else [hx]
        steps = input.transpose(0, 1) if batch_first else input
        output, *last = _layers(cell, steps, states, weights, has_biases, num_layers, bidirectional)
        return (output.transpose(0, 1) if batch_first else output, *last)

    return run


_CELLS: dict[str, Callable] = {
    "lstm": lstm_cell,
    "gru": gru_cell,
    "rnn_tanh": _rnn_cell(torch.tanh),
    "rnn_relu": _rnn_cell(torch.relu),
}
COMPOSITIONS: dict[str, Callable] = {name: _over_time(cell) for name, cell in _CELLS.items()}
COMPOSITIONS |= {f"{name}_cell": cell for name, cell in _CELLS.items()}
