"""On PYTHONPATH, this makes torch seem to have CUDA while a stage takes its GPU, and then has it compute on the CPU.

Python imports a module of this name by itself. All else is real: the GPUs that `nvidia-smi` lists, the claims, the
waiting. When a stage has its GPU and when it ends is noted in the file FAKE_CUDA_NOTES, with CUDA_VISIBLE_DEVICES.
"""

import atexit
import importlib.abc
import importlib.util
import os
import sys
import time
from unittest import mock

SECONDS = 2  # that a stage holds its GPU at least, so that two which do not take turns surely meet


class DevicesFinder(importlib.abc.MetaPathFinder):
    """Changes `seqlift.core.devices` as it is imported; torch is not imported before somebody needs it."""

    def find_spec(self, name, path, target=None):
        if name != "seqlift.core.devices":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        spec.loader.exec_module = lambda module, load=spec.loader.exec_module: change(module, load)
        return spec


def change(module, load):
    load(module)
    take_device, cuda = module.take_device, module.torch.cuda

    def take_fake(device, **settings):
        with (
            mock.patch.object(module.torch.backends.cuda, "is_built", lambda: True),
            mock.patch.object(cuda, "is_available", lambda: True),
            mock.patch.object(cuda, "device_count", lambda: len(os.environ["CUDA_VISIBLE_DEVICES"].split(","))),
        ):
            kind, n = take_device(device, **settings)
        note("begins", kind)
        atexit.register(note, "ends", kind)
        time.sleep(SECONDS)
        return "cpu", n

    module.take_device = take_fake


def note(what, kind):
    line = f"{os.getpid()}\t{what}\t{time.time()}\t{kind}\t{os.environ.get('CUDA_VISIBLE_DEVICES')}\n"
    with open(os.environ["FAKE_CUDA_NOTES"], "a") as file:
        file.write(line)


sys.meta_path.insert(0, DevicesFinder())
