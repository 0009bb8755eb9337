"""Rarely changed options of `deeplift` and `interior_gradients`."""

from dataclasses import dataclass

from seqlift.attribution.settings import DeepLiftSettings, InteriorGradientsSettings


@dataclass(frozen=True, kw_only=True)
class DeepLiftOptions:
    """Rarely changed options of `deeplift`.

    Attributes
    ----------
    output : "logit" or "probability"
        For a model that ends in a sigmoid or softmax, explain the input of this layer (for a softmax minus the mean
        over classes) or its output. For other models: the output as it is, or its sigmoid.
    center_first_layer : bool
        Give the contributions that result if the weights of the first layer have a mean of zero over the bases, which
        for one-hot input is another way to write the same function (arXiv 1605.01713 on constrained inputs). This
        changes nothing for references that sum to one, and makes a quarter of each base out of a reference of zeros.
    max_relative_error : float
        Standard error to reach with `n_references="auto"`, as a fraction of the largest |contribution|.
    max_references : int
        Largest number of references with `n_references="auto"`.

    Examples
    --------
    >>> import seqlift
    >>> seqlift.DeepLiftOptions(output="probability").max_references
    200
    """

    output: str = "logit"
    center_first_layer: bool = DeepLiftSettings.center_first_layer
    max_relative_error: float = DeepLiftSettings.max_relative_error
    max_references: int = DeepLiftSettings.max_references


@dataclass(frozen=True, kw_only=True)
class InteriorGradientsOptions(DeepLiftOptions):
    """Rarely changed options of `interior_gradients`: those of `DeepLiftOptions` and of the path.

    Attributes
    ----------
    quadrature : "gauss-legendre" or "midpoint"
        Positions and weights of the points. The midpoint rule is the evenly spaced sum of arXiv 1611.02639.
    step_tolerance : float
        Largest |delta| with `steps="auto"`, as a fraction of |f(x) - f(reference)|, beyond rounding.
    max_steps : int
        Largest number of steps with `steps="auto"`; `delta` then holds the remaining difference.
    keep_path : bool
        Keep the gradient of every position at every step: N × K × L numbers, and the first layer is run at each point.
    gradient_correction : bool
        Subtract the mean over the four bases from the average gradient, wherever the reference does not sum to what the
        sequence sums to, such as zeros (Majdandzic et al., Genome Biology 24:109, 2023). It has no effect elsewhere.
        `delta` is computed before the correction.

    Examples
    --------
    >>> import seqlift
    >>> seqlift.InteriorGradientsOptions(keep_path=True).quadrature
    'gauss-legendre'
    """

    quadrature: str = "gauss-legendre"
    step_tolerance: float = InteriorGradientsSettings.step_tolerance
    max_steps: int = InteriorGradientsSettings.max_steps
    keep_path: bool = False
    gradient_correction: bool = InteriorGradientsSettings.gradient_correction
