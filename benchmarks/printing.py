"""What the benchmarks print alike: Markdown tables, and where and with what they were made."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch


def table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(text.replace("|", "\\|") for text in line) + " |" for line in lines)


def installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def versions(*packages: str) -> str:
    found = [f"{package} {installed(package)}" for package in packages]
    return ", ".join([f"Python {platform.python_version()}", f"torch {torch.__version__}", *found])


def machine(device: torch.device) -> str:
    """The processor, its cores in use, and the card."""
    cpu = platform.processor() or platform.machine()
    information = Path("/proc/cpuinfo")
    if information.exists():
        names = [line for line in information.read_text().splitlines() if line.startswith("model name")]
        cpu = names[0].split(":", 1)[1].strip() if names else cpu
    text = f"{cpu}, {torch.get_num_threads()} threads on {os.cpu_count()} cores"
    return f"{torch.cuda.get_device_name(device)}; {text}" if device.type == "cuda" else text
