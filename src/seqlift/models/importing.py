"""Classes of custom models by their import path, `package.module:Class`.

The module is searched for in the current folder first, then where Python finds its packages, as `python -m` does.
Importing it and making a model runs its code: whoever names a class, or opens a checkpoint that names one, trusts it.
A class that is not a `torch.nn.Module` is never called.
"""

import contextlib
import importlib
import inspect
import logging
import os
import sys
import traceback
from collections.abc import Iterator

from torch import nn

from seqlift.errors import SeqliftError

log = logging.getLogger(__name__)


def load_class(path: str) -> type[nn.Module]:
    """The class at `package.module:Class`.

    Raises
    ------
    SeqliftError
        If there is no such module or class, importing the module fails, or the class is not a `torch.nn.Module`.
    """
    key, (module_name, _, class_name) = f"model.type (={path!r})", path.partition(":")
    if not all(part.isidentifier() for part in (*module_name.split("."), class_name)):
        raise SeqliftError(f"{key} must be package.module:Class, the import path of a class")
    if module_name not in sys.modules:
        log.info("%s: importing %s, which runs its code", path, module_name)
    try:
        with current_folder_first():
            module = importlib.import_module(module_name)
    except Exception as error:
        missing = getattr(error, "name", None)
        if isinstance(error, ModuleNotFoundError) and missing and f"{module_name}.".startswith(f"{missing}."):
            raise SeqliftError(
                f"{key}: there is no module {missing!r} in the current folder ({os.getcwd()}) or among the installed "
                "packages; start from the folder that holds it, or install it"
            ) from None
        raise SeqliftError(f"{key}: importing {module_name} failed: {located(error)}; correct it there") from error
    found = getattr(module, class_name, None)
    if not (inspect.isclass(found) and issubclass(found, nn.Module)):
        own = [name for name, value in vars(module).items() if inspect.isclass(value) and issubclass(value, nn.Module)]
        what = "no class" if found is None else "not a class derived from torch.nn.Module"
        raise SeqliftError(f"{key}: {class_name} is {what} in {module_name}; it has: {', '.join(own) or 'none'}")
    return found


def located(error: BaseException) -> str:
    """An error in the code of a custom model, with file and line."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({frames[-1].filename}:{frames[-1].lineno})" if len(frames) > 1 else ""
    return f"{type(error).__name__}: {error}{where}"


@contextlib.contextmanager
def current_folder_first() -> Iterator[None]:
    """Search for modules in the current folder first."""
    folder = os.getcwd()
    importlib.invalidate_caches()  # a module may be newer than Python's list of the folder
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)
