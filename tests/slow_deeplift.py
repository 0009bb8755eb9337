"""DeepLIFT straight from the equations of arXiv 1704.02685, section 3.5: one pair, float64, plain loops.

An oracle for the package's fast implementation, which this file neither imports nor resembles. Every neuron's
difference from reference is kept in two parts, Δ⁺ and Δ⁻, as in the paper, for Rescale as well; multipliers of the two
parts are carried back from the output by the chain rule, neuron by neuron.

Conventions where the paper leaves a choice:

- The two parts of an input are Δx⁺ = max(Δx, 0) and Δx⁻ = min(Δx, 0); its multiplier is that of the part which is not
  zero, and half of both where Δx = 0.
- A module that adds up several inputs (Linear, Conv1d, average pooling) follows the Linear rule on the inputs' whole
  Δx, so its own Δ⁺ and Δ⁻ are split anew. A linear module with one input for each output (BatchNorm1d in eval, Flatten,
  Dropout) hands both parts on; a negative scale swaps them, as it turns positive contributions into negative ones.
- A multiplier Δy/Δx whose Δx is 0 is its limit, the slope.
- "genomics" is RevealCancel at nonlinearities of Linear layers and Rescale at all others.
"""

import itertools
import math
from dataclasses import dataclass

import numpy as np
from torch import nn

SMALL = 1e-10  # differences below this share of the activations are rounding


@dataclass
class Sum:
    """y_j = b_j + Σ_i w_ji x_i: `weight` (outputs, inputs), `bias` (outputs,), both over flattened neurons."""

    weight: np.ndarray
    bias: np.ndarray
    dense: bool
    shape: tuple[int, ...]


@dataclass
class Scale:
    """y_i = w_i x_i + b_i."""

    weight: np.ndarray
    bias: np.ndarray
    shape: tuple[int, ...]


@dataclass
class Nonlinearity:
    """y_i = f(x_i), with the slope of f; `dense`: its inputs are the neurons of a Linear layer."""

    f: callable
    slope: callable
    dense: bool
    shape: tuple[int, ...]


def slow_deeplift(layers, x, r, target: int, rule: str) -> np.ndarray:
    """Multipliers, of the shape of `x`, of neuron `target` of the last layer.

    Parameters
    ----------
    layers : iterable of torch.nn.Module
        Linear, Conv1d, AvgPool1d, AdaptiveAvgPool1d, BatchNorm1d, Flatten, Dropout, Identity, ReLU, Sigmoid, Tanh, and
        Sequential of these; as in eval mode.
    x, r : array-like
        The input and its reference, without batch axis: (4, L), or (features,).
    target : int
        Index into the flattened output.
    rule : str
        "rescale", "reveal-cancel" or "genomics".
    """
    if rule not in ("rescale", "reveal-cancel", "genomics"):
        raise ValueError(f"no rule {rule!r}")
    x, r = (np.asarray(part, dtype=np.float64) for part in (x, r))
    steps = read_layers(layers, x.shape)

    # Forward: activations for the input and for the reference, and both parts of each neuron's difference
    at_x, at_r = x.ravel(), r.ravel()
    difference = at_x - at_r
    positive, negative = np.maximum(difference, 0), np.minimum(difference, 0)
    backward = []  # one function a layer: multipliers of its outputs' parts -> of its inputs' parts
    for step in steps:
        if isinstance(step, Sum):
            to_positive, to_negative = linear_rule(step.weight, at_x, at_r)
            difference = at_x - at_r
            at_x, at_r = forward(step, at_x), forward(step, at_r)
            # C = m Δx; for an input of Δx = 0 both parts cancel: ½ w (Δx⁺ + Δx⁻) = 0
            positive, negative = to_positive @ difference, to_negative @ difference
            backward.append(through_sum(to_positive, to_negative))
        elif isinstance(step, Scale):
            swaps = step.weight < 0
            at_x, at_r = forward(step, at_x), forward(step, at_r)
            scaled = step.weight * positive, step.weight * negative
            positive, negative = np.where(swaps, scaled[1], scaled[0]), np.where(swaps, scaled[0], scaled[1])
            backward.append(through_scale(step.weight, swaps))
        else:
            reveal = rule == "reveal-cancel" or (rule == "genomics" and step.dense)
            of_positive, of_negative = (reveal_cancel if reveal else rescale)(step, at_x, at_r, positive, negative)
            at_x, at_r = forward(step, at_x), forward(step, at_r)
            positive, negative = of_positive * positive, of_negative * negative
            backward.append(through_nonlinearity(of_positive, of_negative))
        whole = at_x - at_r
        np.testing.assert_allclose(positive + negative, whole, rtol=1e-8, atol=1e-8 * (1 + np.abs(at_x).max()))

    # Backward: the chain rule, for each part by itself
    positive, negative = np.zeros(at_x.size), np.zeros(at_x.size)
    positive[target] = negative[target] = 1
    for through in reversed(backward):
        positive, negative = through(positive, negative)
    difference = (x - r).ravel()
    multipliers = np.where(difference > 0, positive, np.where(difference < 0, negative, (positive + negative) / 2))
    return multipliers.reshape(x.shape)


def linear_rule(weight: np.ndarray, at_x: np.ndarray, at_r: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Multipliers of inputs (both parts alike) to the outputs' positive and negative parts, each (outputs, inputs).

    Section 3.5.1: 1{w Δx > 0} w, 1{w Δx < 0} w, and ½ w to both where Δx = 0.
    """
    to_positive, to_negative = np.zeros(weight.shape), np.zeros(weight.shape)
    for i in range(weight.shape[1]):
        change = at_x[i] - at_r[i]
        none = abs(change) <= SMALL * max(abs(at_x[i]), abs(at_r[i]))
        for j in range(weight.shape[0]):
            if none:
                to_positive[j, i] = to_negative[j, i] = 0.5 * weight[j, i]
            elif weight[j, i] * change > 0:
                to_positive[j, i] = weight[j, i]
            elif weight[j, i] * change < 0:
                to_negative[j, i] = weight[j, i]
    return to_positive, to_negative


def rescale(step: Nonlinearity, at_x, at_r, positive, negative) -> tuple[np.ndarray, np.ndarray]:
    """Section 3.5.2: both parts are multiplied by Δy/Δx."""
    multiplier = np.array([quotient(step, r, x) for x, r in zip(at_x, at_r, strict=True)])
    return multiplier, multiplier


def reveal_cancel(step: Nonlinearity, at_x, at_r, positive, negative) -> tuple[np.ndarray, np.ndarray]:
    """Section 3.5.3: each part's effect, averaged over adding it before and after the other; divided by the part.

    Δy⁺ = ½ [f(r + Δx⁺) − f(r)] + ½ [f(r + Δx⁻ + Δx⁺) − f(r + Δx⁻)], and the same for Δy⁻ with the parts changed over.
    """
    of_positive, of_negative = np.zeros(len(at_x)), np.zeros(len(at_x))
    for i in range(len(at_x)):
        r, up, down = at_r[i], positive[i], negative[i]
        of_positive[i] = (quotient(step, r, r + up) + quotient(step, r + down, at_x[i])) / 2
        of_negative[i] = (quotient(step, r, r + down) + quotient(step, r + up, at_x[i])) / 2
    return of_positive, of_negative


def quotient(step: Nonlinearity, start: float, end: float) -> float:
    """(f(end) − f(start)) / (end − start), and the slope where they are the same."""
    if abs(end - start) <= SMALL * max(abs(end), abs(start)):
        return step.slope(end)
    return (step.f(end) - step.f(start)) / (end - start)


def through_sum(to_positive, to_negative):
    """m(Δx⁺) = m(Δx⁻) = Σ_j m(Δx → Δy_j⁺) m(Δy_j⁺) + m(Δx → Δy_j⁻) m(Δy_j⁻)."""

    def back(positive, negative):
        both = to_positive.T @ positive + to_negative.T @ negative
        return both, both

    return back


def through_scale(weight, swaps):
    """m(Δx⁺) = w m(Δy⁺), or w m(Δy⁻) where w < 0."""

    def back(positive, negative):
        return weight * np.where(swaps, negative, positive), weight * np.where(swaps, positive, negative)

    return back


def through_nonlinearity(of_positive, of_negative):
    """m(Δx⁺) = m(Δx⁺ → Δy⁺) m(Δy⁺), and the same for the negative part: the two never meet."""

    def back(positive, negative):
        return of_positive * positive, of_negative * negative

    return back


def forward(step, values: np.ndarray) -> np.ndarray:
    """Activations (outputs,) of a layer for those of its inputs."""
    if isinstance(step, Sum):
        return step.weight @ values + step.bias
    if isinstance(step, Scale):
        return step.weight * values + step.bias
    return np.array([step.f(value) for value in values])


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


NONLINEARITIES = {
    nn.ReLU: (lambda value: max(value, 0.0), lambda value: float(value > 0)),
    nn.Sigmoid: (sigmoid, lambda value: sigmoid(value) * (1 - sigmoid(value))),
    nn.Tanh: (math.tanh, lambda value: 1 - math.tanh(value) ** 2),
}


def read_layers(layers, shape: tuple[int, ...]) -> list[Sum | Scale | Nonlinearity]:
    """Modules as sums with explicit matrices, scales and nonlinearities; `shape`: of the input, without batch axis."""
    steps, dense = [], False
    for layer in flat(layers):
        n = math.prod(shape)
        if isinstance(layer, nn.Linear):
            weight, bias = numbers(layer.weight), numbers(layer.bias, layer.out_features)
            if len(shape) != 1:
                raise TypeError("Linear along the last of several axes is not read here; flatten first")
            step = Sum(weight, bias, True, (layer.out_features,))
        elif isinstance(layer, nn.Conv1d):
            step = convolution(layer, shape)
        elif isinstance(layer, nn.AvgPool1d | nn.AdaptiveAvgPool1d):
            step = average(layer, shape)
        elif isinstance(layer, nn.BatchNorm1d):
            scale = 1 / np.sqrt(numbers(layer.running_var) + layer.eps)
            if layer.affine:
                scale = scale * numbers(layer.weight)
            bias = numbers(layer.bias, shape[0]) - scale * numbers(layer.running_mean)
            each = math.prod(shape[1:])  # positions of a channel
            step = Scale(np.repeat(scale, each), np.repeat(bias, each), shape)
        elif isinstance(layer, nn.Flatten):
            step = Scale(np.ones(n), np.zeros(n), (n,))
        elif isinstance(layer, nn.Dropout | nn.Identity):
            step = Scale(np.ones(n), np.zeros(n), shape)
        elif type(layer) in NONLINEARITIES:
            step = Nonlinearity(*NONLINEARITIES[type(layer)], dense and len(shape) == 1, shape)
        else:
            raise TypeError(f"no equations for {layer}")
        if isinstance(step, Sum):
            dense = step.dense
        steps.append(step)
        shape = step.shape
    return steps


def flat(layers):
    """Modules without the Sequentials around them."""
    for layer in layers:
        if isinstance(layer, nn.Sequential):
            yield from flat(layer)
        else:
            yield layer


def numbers(tensor, zeros: int = 0) -> np.ndarray:
    """Float64 array of a parameter; that many zeros for None."""
    return np.zeros(zeros) if tensor is None else tensor.detach().cpu().double().numpy()


def convolution(layer: nn.Conv1d, shape: tuple[int, ...]) -> Sum:
    """The matrix of a convolution with zero padding: w[(o, t), (c, s)]."""
    channels, length = shape
    (width,), (stride,), (dilation,) = layer.kernel_size, layer.stride, layer.dilation
    reach = dilation * (width - 1)
    if layer.padding == "same":
        left = reach // 2
        padding = reach
    else:
        left = 0 if layer.padding == "valid" else layer.padding[0]
        padding = 2 * left
    if layer.padding_mode != "zeros":
        raise TypeError(f"no equations for {layer}")
    positions = (length + padding - reach - 1) // stride + 1
    kernel, bias = numbers(layer.weight), numbers(layer.bias, layer.out_channels)
    weight = np.zeros((layer.out_channels * positions, channels * length))
    own = channels // layer.groups  # channels that an output channel sees
    for o, t, c, k in itertools.product(range(layer.out_channels), range(positions), range(own), range(width)):
        s = t * stride + k * dilation - left
        if 0 <= s < length:
            first = (o // (layer.out_channels // layer.groups)) * own
            weight[o * positions + t, (first + c) * length + s] = kernel[o, c, k]
    return Sum(weight, np.repeat(bias, positions), False, (layer.out_channels, positions))


def average(layer: nn.AvgPool1d | nn.AdaptiveAvgPool1d, shape: tuple[int, ...]) -> Sum:
    """The matrix of an average over windows of each channel."""
    channels, length = shape
    windows = []  # (positions, divisor)
    if isinstance(layer, nn.AdaptiveAvgPool1d):
        size = layer.output_size if isinstance(layer.output_size, int) else layer.output_size[0]
        for t in range(size):
            start, end = t * length // size, -((-(t + 1) * length) // size)
            windows.append((range(start, end), end - start))
    else:
        (width,), (stride,), (padding,) = layer.kernel_size, layer.stride, layer.padding
        if layer.ceil_mode:
            raise TypeError(f"no equations for {layer}")
        for t in range((length + 2 * padding - width) // stride + 1):
            inside = [s for s in range(t * stride - padding, t * stride - padding + width) if 0 <= s < length]
            windows.append((inside, width if layer.count_include_pad else len(inside)))
    weight = np.zeros((channels * len(windows), channels * length))
    for c, (t, (positions, divisor)) in itertools.product(range(channels), enumerate(windows)):
        for s in positions:
            weight[c * len(windows) + t, c * length + s] = 1 / divisor
    return Sum(weight, np.zeros(len(weight)), False, (channels, len(windows)))
