"""Recurrent layers written out step by step, in operations that have rules: gates by the product rule, time by the sum.

The layers of PyTorch (LSTM, GRU, RNN, and their cells) run as one opaque operation; these are the same equations, as
PyTorch documents them. They are exact but slow: a step of a layer is some ten operations.
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


def rnn_tanh_cell(
    input: Tensor, hx: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor | None = None, b_hh: Tensor | None = None
) -> Tensor:
    """One step of a plain recurrent layer with tanh."""
    return torch.tanh(F.linear(input, w_ih, b_ih) + F.linear(hx, w_hh, b_hh))


def rnn_relu_cell(
    input: Tensor, hx: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor | None = None, b_hh: Tensor | None = None
) -> Tensor:
    """One step of a plain recurrent layer with ReLU."""
    return torch.relu(F.linear(input, w_ih, b_ih) + F.linear(hx, w_hh, b_hh))


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


COMPOSITIONS = {
    "lstm": _over_time(lstm_cell),
    "gru": _over_time(gru_cell),
    "rnn_tanh": _over_time(rnn_tanh_cell),
    "rnn_relu": _over_time(rnn_relu_cell),
    "lstm_cell": lstm_cell,
    "gru_cell": gru_cell,
    "rnn_tanh_cell": rnn_tanh_cell,
    "rnn_relu_cell": rnn_relu_cell,
}
