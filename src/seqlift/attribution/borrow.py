"""A model on loan: explained in evaluation mode on the device asked for, and given back exactly as it came."""

import contextlib
from collections.abc import Callable, Iterator

import torch
from torch import nn

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
        raise SeqliftError(f"device {device!r} is unknown; use auto, cpu or cuda") from None
    if chosen.type == "cuda" and not torch.cuda.is_available():
        raise SeqliftError(f"device {device!r} was asked for, but no CUDA GPU can be used here; use `cpu` or `auto`")
    return chosen


@contextlib.contextmanager
def borrowed(model: Callable, device: str | torch.device | None, *, look_inside: bool = True) -> Iterator[torch.device]:
    """Put a model in evaluation mode with frozen weights, on `device` (None: where it is); undo all of it at the end.

    The train/eval flag is set and put back on each submodule by itself, so that a BatchNorm frozen inside a training
    model is frozen afterwards too. A callable that is no `nn.Module` is used as it is.

    Raises
    ------
    SeqliftError
        If a submodule is scripted or compiled, so that it hides its operations, and `look_inside` says that the method
        needs to see them.
    """
    if not isinstance(model, nn.Module):
        yield torch.device("cpu") if device is None else choose_device(device)
        return
    for name, module in model.named_modules():
        if look_inside and (isinstance(module, torch.jit.ScriptModule) or hasattr(module, "_orig_mod")):
            raise SeqliftError(
                f"cannot explain `{name or 'the model'}` ({type(module).__name__}): a scripted or compiled module "
                "hides its operations; pass the module that it was made from"
            )
    parameters = list(model.parameters())
    home = next((tensor.device for tensor in (*parameters, *model.buffers())), torch.device("cpu"))
    target = home if device is None else choose_device(device)
    flags = [(module, module.training) for module in model.modules()]
    needs_gradient = [parameter.requires_grad for parameter in parameters]
    gradients = [parameter.grad for parameter in parameters]
    try:
        for module, _ in flags:
            module.training = False
        for parameter in parameters:
            parameter.requires_grad_(False)
            parameter.grad = None
        if target != home:
            model.to(target)
        yield target
    finally:
        if target != home:
            model.to(home)
        for module, training in flags:
            module.training = training
        for parameter, needed, gradient in zip(parameters, needs_gradient, gradients, strict=True):
            parameter.requires_grad_(needed)
            parameter.grad = gradient
