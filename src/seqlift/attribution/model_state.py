"""The state in which a model is explained (evaluation mode, frozen weights, a device), and its restoration."""

import contextlib
from collections.abc import Callable, Iterator

import torch
from torch import nn

from seqlift.core.devices import choose_device
from seqlift.errors import SeqliftError


@contextlib.contextmanager
def in_evaluation_mode(
    model: Callable, device: str | torch.device | None, *, look_inside: bool = True
) -> Iterator[torch.device]:
    """Put a model in evaluation mode with frozen weights, on `device` (None: where it is); undo all of it at the end.

    The train/eval flag is set and restored on each submodule by itself, so that a BatchNorm frozen inside a training
    model is frozen afterwards too. Buffers are restored, in case that a model changes them. A callable that is not a
    `nn.Module` is used as it is. The caller's `torch.no_grad()` or `torch.inference_mode()` has no effect inside:
    gradients are off, and can be switched on.

    Parameters
    ----------
    model : torch.nn.Module or callable
    device : str or torch.device, optional
    look_inside : bool
        Whether the method needs to see the model's operations.

    Yields
    ------
    torch.device
        Where to put the model's inputs.

    Raises
    ------
    SeqliftError
        If `look_inside` and a submodule is scripted or compiled, which hides its operations; if the model lies on
        several devices and `device` names one.
    """
    with torch.inference_mode(False), torch.no_grad():
        if not isinstance(model, nn.Module):
            yield torch.device("cpu") if device is None else choose_device(device)
            return
        for name, module in model.named_modules() if look_inside else ():
            if isinstance(module, torch.jit.ScriptModule) or hasattr(module, "_orig_mod"):
                raise SeqliftError(
                    f"cannot explain `{name or 'the model'}` ({type(module).__name__}): a scripted or compiled module "
                    "hides its operations; pass the module that it was made from"
                )
        with _prepared(model, device) as where:
            yield where


@contextlib.contextmanager
def _prepared(model: nn.Module, device: str | torch.device | None) -> Iterator[torch.device]:
    parameters, modules = list(model.parameters()), list(model.modules())
    homes = list(dict.fromkeys(tensor.device for tensor in (*parameters, *model.buffers()))) or [torch.device("cpu")]
    target = homes[0] if device is None else choose_device(device)
    moves = device is not None and homes != [target]
    if moves and len(homes) > 1:
        raise SeqliftError(
            f"the model lies on {', '.join(map(str, homes))}; put it on one device, or leave `device` (={device!r}) out"
        )
    flags = [module.training for module in modules]
    kept = [(parameter.requires_grad, parameter.grad) for parameter in parameters]
    buffers = [
        (module, name, buffer, buffer.clone())
        for module in modules
        for name, buffer in module._buffers.items()
        if buffer is not None
    ]
    try:
        for module in modules:
            module.training = False
        for parameter in parameters:
            parameter.requires_grad_(False)
            parameter.grad = None
        if moves:
            model.to(target)
        yield target
    finally:
        if moves:
            model.to(homes[0])
        for module, training in zip(modules, flags, strict=True):
            module.training = training
        for parameter, (needed, gradient) in zip(parameters, kept, strict=True):
            parameter.requires_grad_(needed)
            parameter.grad = gradient
        for module, name, buffer, before in buffers:
            module._buffers[name] = buffer
            if not torch.equal(buffer, before):
                buffer.copy_(before)
