"""Which operation of PyTorch has which DeepLIFT rule: the tables to read, and to extend, for a new operation.

`seqlift.attribution.handlers` says in which order they are consulted, `seqlift.attribution.rules` what the rules are.
An operation that is in none of these tables is opened up if PyTorch has it in Python, and refused by name if not.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from seqlift.attribution import compositions, recurrent, rules


def tensors_in(value: Any) -> list[Tensor]:
    """All tensors in the arguments or the result of an operation: in lists, tuples and dicts, to any depth."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, tuple | list):
        return []
    return [tensor for item in value for tensor in tensors_in(item)]


def find(*names: str) -> set[Callable]:
    """Every function and tensor method of PyTorch with one of these names (several in a string, apart by spaces)."""
    wanted = " ".join(names).split()
    homes = (torch, torch.Tensor, F, torch.special, torch.linalg, torch.fft, torch._C._nn)
    return {getattr(home, name) for name in wanted for home in homes if callable(getattr(home, name, None))}


def by_names(table: dict[str, Any]) -> dict[Callable, Any]:
    """The same table with the operations of these names (`find`) for keys."""
    return {function: value for names, value in table.items() for function in find(names)}


def getters(*names: str) -> set[Callable]:
    """The same for what is read of a tensor without a call."""
    wanted = " ".join(names).split()
    return {getattr(torch.Tensor, name).__get__ for name in wanted if hasattr(torch.Tensor, name)}


# Properties of a tensor that do not depend on its values, and new tensors of its shape or type.
VALUELESS = find(
    "size dim ndimension numel nelement stride is_contiguous is_floating_point is_complex is_signed",
    "element_size get_device storage_offset is_same_size is_pinned is_shared is_inference",
    "zeros_like ones_like empty_like full_like new_zeros new_ones new_full new_empty new_tensor",
    "isnan isinf isfinite isneginf isposinf",
    "__len__ __hash__ __repr__ has_names is_distributed is_coalesced result_type can_cast",
) | getters(
    "shape dtype device ndim layout is_cuda is_cpu is_mps is_meta is_sparse is_quantized is_nested is_leaf",
    "requires_grad grad grad_fn names itemsize nbytes _version _base is_mkldnn is_xpu output_nr retains_grad",
)

# Of these only in their first argument; others may hold values.
FILLED = find("new_tensor new_full full_like")

# The identity, whatever it means for autograd.
IDENTITY = find("detach", "detach_", "requires_grad_", "retain_grad", "alias") | getters("data")

# Linear (or affine) in the arguments at these positions (a list of tensors counts as one), constant in all others.
LINEAR: dict[Callable, tuple[int, ...]] = {
    function: positions
    for positions, names in {
        (0,): (
            "view reshape flatten unflatten ravel squeeze unsqueeze transpose t permute movedim moveaxis swapaxes "
            "swapdims adjoint clone expand broadcast_to repeat tile repeat_interleave narrow select "
            "index_select __getitem__ split split_with_sizes chunk unbind tensor_split contiguous hsplit vsplit "
            "dsplit flip fliplr flipud roll rot90 diagonal diag diag_embed tril triu trace unfold fold pad "
            "constant_pad_nd sum mean cumsum neg negative positive to type float double half bfloat16 cuda "
            "avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d "
            "interpolate upsample pixel_shuffle pixel_unshuffle channel_shuffle gather take_along_dim index_fill "
            "as_strided sum_to_size cat concat concatenate stack hstack vstack dstack column_stack row_stack "
            "atleast_1d atleast_2d atleast_3d dropout dropout1d dropout2d dropout3d alpha_dropout feature_dropout "
            "feature_alpha_dropout batch_norm real zero_ fill_ squeeze_ unsqueeze_ transpose_ t_ swapaxes_ neg_ "
            "dropout_ index_fill_ tril_ triu_ __iter__ resolve_conj resolve_neg conj imag view_as_real view_as_complex "
            "fft ifft rfft irfft hfft ihfft fft2 ifft2 rfft2 irfft2 fftn ifftn rfftn irfftn fftshift ifftshift"
        ),
        (0, 1): (
            "add sub subtract __radd__ __rsub__ rsub lerp add_ sub_ subtract_ lerp_ copy_ "
            "view_as reshape_as expand_as type_as"
        ),
        (0, 2): "masked_fill masked_fill_ __setitem__ masked_scatter masked_scatter_ index_put index_put_",
        (0, 3): "index_copy index_copy_ index_add index_add_ scatter scatter_ scatter_add scatter_add_",
        (1, 2): "where",
    }.items()
    for function in find(names)
}
LINEAR.update(dict.fromkeys(getters("T", "mT", "H", "mH", "real", "imag"), (0,)))
LINEAR[torch.Tensor.where] = (0, 2)  # x.where(condition, other)
# Linear if the divisor is constant; if not, written out below (`COMPOSITIONS`).
DIVISIONS = find("div divide true_divide __truediv__ __div__ __itruediv__ div_ divide_")
# The keywords of those arguments, where they are not given by position.
LINEAR_KEYWORDS = {"input", "self", "other", "end", "source", "src", "value", "tensors", "x"}

# Linear in each of two arguments: linear if one of them is constant, the product rule if both change.
PRODUCTS = find(
    "mul multiply matmul __rmul__ __rmatmul__ bmm mm mv dot inner outer einsum tensordot kron linear",
    "conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d mul_ multiply_",
)

# Functions of one element: piecewise linear ones, smooth ones, and those whose Rescale multiplier has a closed form.
KINKED = find(
    "relu6 leaky_relu prelu rrelu hardtanh clamp clip clamp_min clamp_max abs absolute threshold hardsigmoid",
    "hardshrink softshrink hardswish __abs__",
)
SMOOTH = find(
    "gelu silu elu selu celu softplus mish tanh sigmoid expit logsigmoid log_sigmoid softsign tanhshrink",
    "erf erfc sin cos atan arctan asinh arcsinh sinh exp expm1 exp2 log1p cosh",
)
RELU = find("relu")
# Activation functions that RevealCancel may evaluate at other points: defined everywhere, growing at most linearly.
ACTIVATIONS = (KINKED | SMOOTH | RELU) - find("exp expm1 exp2 log1p sinh cosh")
ELEMENTWISE: dict[Callable, Callable] = {
    **dict.fromkeys(KINKED, rules.rescale_kinked),
    **dict.fromkeys(SMOOTH, rules.rescale_smooth),
    **by_names(
        {
            "relu": rules.rescale_relu,
            "log": rules.rescale_log,
            "sqrt": rules.rescale_sqrt,
            "reciprocal": rules.rescale_reciprocal,
            "rsqrt": rules.rescale_rsqrt,
            "square": rules.rescale_square,
        }
    ),
}

# Comparisons as functions of the difference of the two values, 0 for false and 1 for true.
COMPARISONS = by_names(
    {
        "gt greater __gt__": lambda difference: (difference > 0).to(difference.dtype),
        "ge greater_equal __ge__": lambda difference: (difference >= 0).to(difference.dtype),
        "lt less __lt__": lambda difference: (difference < 0).to(difference.dtype),
        "le less_equal __le__": lambda difference: (difference <= 0).to(difference.dtype),
    }
)
NEGATIONS = find("logical_not bitwise_not __invert__")
CONJUNCTIONS = find("logical_and bitwise_and __and__ __rand__")
DISJUNCTIONS = find("logical_or bitwise_or __or__ __ror__")
CHOICES = find("where masked_fill masked_fill_ __setitem__")
POWERS = find("pow", "__pow__")
CLAMPS = find("clamp clip clamp_min clamp_max")
EINSUM = find("einsum")
TO_NUMBERS = find("to type type_as float double half bfloat16")
TOP_K = find("topk")

# Max pools, the form of each that also returns places, and the number of axes that it searches.
MAX_POOLS: dict[Callable, tuple[Callable, int]] = {
    getattr(F, f"{kind}max_pool{n}d{suffix}"): (getattr(F, f"{kind}max_pool{n}d_with_indices"), n)
    for kind in ("", "adaptive_")
    for n in (1, 2, 3)
    for suffix in ("", "_with_indices")
}
MAX_POOLS.update({getattr(torch, f"max_pool{n}d"): (getattr(F, f"max_pool{n}d_with_indices"), n) for n in (1, 2, 3)})
EXTREMA = {**dict.fromkeys(find("max", "amax"), 1), **dict.fromkeys(find("min", "amin"), -1)}

# Operations that are written out in others.
COMPOSITIONS = by_names(
    {
        "layer_norm": compositions.layer_norm,
        "rms_norm": compositions.rms_norm,
        "group_norm": compositions.group_norm,
        "instance_norm": compositions.instance_norm,
        "scaled_dot_product_attention": compositions.attention,
        "div divide true_divide __truediv__ __div__ div_ divide_": compositions.divide,
        "__rtruediv__ __rdiv__": compositions.divide_reversed,
        "pow __pow__ pow_ float_power": compositions.power,
        "log_softmax": compositions.log_softmax,
        "softmin": compositions.softmin,
        "glu": compositions.glu,
        "var": compositions.variance,
        "std": compositions.standard_deviation,
        "var_mean": compositions.variance_and_mean,
        "std_mean": compositions.standard_deviation_and_mean,
        "broadcast_tensors": compositions.broadcast_tensors,
        "log2": compositions.log2,
        "log10": compositions.log10,
        "logaddexp": compositions.log_add_exp,
        "prod": compositions.product,
        "cumprod": compositions.cumulative_product,
        "lp_pool1d": compositions.lp_pool1d,
        "sort": compositions.sort,
        "einsum": compositions.einsum,
        "vector_norm": compositions.vector_norm,
        "maximum fmax": compositions.maximum,
        "minimum fmin": compositions.minimum,
        "cosine_similarity": compositions.cosine_similarity,
        "__deepcopy__": compositions.deepcopy,
        "addcmul": compositions.add_product,
        "addmm addmv baddbmm": compositions.add_matrix_product,
        **recurrent.COMPOSITIONS,
    }
)
SOFTMAX = find("softmax")
LOG_SUM_EXP = find("logsumexp")
