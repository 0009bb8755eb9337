"""A machine that seems to have GPUs: a program `nvidia-smi` that lists them."""

from pathlib import Path


def write_nvidia_smi(folder: Path, says: str, status: int = 0) -> None:
    """Write a `nvidia-smi` that prints `says` to standard output, whatever it is asked."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "nvidia-smi.txt").write_text(says)
    program = folder / "nvidia-smi"
    program.write_text(f'#!/bin/sh\ncat "$(dirname "$0")/nvidia-smi.txt"\nexit {status}\n')
    program.chmod(0o755)


def listing(uuids: list[str]) -> str:
    """What `nvidia-smi -L` prints of whole GPUs."""
    return "".join(f"GPU {number}: NVIDIA H200 (UUID: {uuid})\n" for number, uuid in enumerate(uuids))
