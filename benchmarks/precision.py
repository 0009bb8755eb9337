"""Lower precisions: how fast, and how far from float64; and for how much of the time a card computes."""

import contextlib
import time
from collections.abc import Iterable, Iterator

import torch
from networks import NETWORKS, Data, make
from printing import table

import seqlift


@contextlib.contextmanager
def tf32(allowed: bool) -> Iterator[None]:
    """Let the card round the inputs of convolutions and products to TF32, or not."""
    backends = (torch.backends.cuda.matmul, torch.backends.cudnn)
    before = [backend.allow_tf32 for backend in backends]
    try:
        for backend in backends:
            backend.allow_tf32 = allowed
        yield
    finally:
        for backend, allow in zip(backends, before, strict=True):
            backend.allow_tf32 = allow


def precision_section(names: Iterable[str], device: torch.device, n: int) -> str:
    """DeepLIFT in each type against float64, on n sequences."""
    kinds = [("float64", torch.float64, False), ("float32", torch.float32, False)]
    if device.type == "cuda":
        kinds.append(("float32 with TF32", torch.float32, True))
    kinds.append(("bfloat16", torch.bfloat16, True))
    rows = []
    for name in names:
        model, data = make(name).to(device), Data(NETWORKS[name][1], 20)
        exact = None
        for kind, dtype, allowed in kinds:
            model = model.to(dtype)
            x, references = (tensor.to(dtype) for tensor in data.first(n))
            with tf32(allowed):
                seqlift.deeplift(model, x, references)  # the first run chooses its kernels
                start = time.perf_counter()
                found = seqlift.deeplift(model, x, references).contributions.sum(1).double()
                rate = n * references.shape[1] / (time.perf_counter() - start)
            exact = found if exact is None else exact
            off = (found - exact).abs() / exact.abs().amax(1, keepdim=True)
            errors = ["", ""] if found is exact else [f"{off.square().mean() ** 0.5:.1e}", f"{off.max():.1e}"]
            rows.append([name, kind, f"{rate:,.0f}", *errors])
            model = make(name).to(device)  # rounded weights do not come back
    return (
        "## Precision\n\nThe error of the contributions, as a share of the largest of the sequence: root mean square "
        f"over positions, and the worst. {n} sequences with 20 references, batch_size=None.\n\n"
        + table(["network", "type", "pairs/s", "error", "worst"], rows)
    )


def covered(intervals: Iterable[tuple[float, float]]) -> float:
    """The length that intervals cover together, overlaps counted once."""
    total, end = 0.0, float("-inf")
    for first, last in sorted(intervals):
        total += max(0.0, last - max(first, end))
        end = max(end, last)
    return total


def busy_section(names: Iterable[str], device: torch.device, seconds: float) -> str:
    """The share of the time of a call in which the card runs kernels or copies, by PyTorch's profiler."""
    from torch.profiler import DeviceType, ProfilerActivity, profile

    rows = []
    for name in names:
        model, data = make(name).to(device), Data(NETWORKS[name][1], 20)
        n = 64
        while True:  # enough sequences for a steady state; the first runs choose kernels
            for shuffled in (False, True):
                timed(model, data, n, shuffled)
            wall = timed(model, data, n, False)
            if wall >= seconds or n >= 16384:
                break
            n *= 4
        for shuffled in (False, True):
            wall = min(timed(model, data, n, shuffled) for _ in range(3))
            with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as profiler:
                timed(model, data, n, shuffled)
            # Of the profiled call only the kernels are taken, which the profiler does not slow down
            on_card = [
                event
                for event in profiler.events()
                if event.device_type == DeviceType.CUDA and not getattr(event, "is_user_annotation", False)
            ]
            computing = [event for event in on_card if not event.name.startswith(("Memcpy", "Memset"))]
            busy, kernels = (
                covered((event.time_range.start, event.time_range.end) for event in events) / 1e6  # given in µs
                for events in (on_card, computing)
            )
            source = "own shuffles" if shuffled else "references given"
            waits = max(0.0, wall - busy)
            rows.append(
                [name, source, f"{wall:.2f} s", f"{kernels / wall:.0%}", f"{busy / wall:.0%}", f"{waits:.2f} s"]
            )
    header = ["network", "references", "time", "computes", "computes or copies", "waits for the host"]
    return "## How busy the card is\n\n" + table(header, rows)


def timed(model, data: Data, n: int, shuffled: bool) -> float:
    x, references = data.first(n)
    torch.cuda.synchronize()
    start = time.perf_counter()
    seqlift.deeplift(model, x, None if shuffled else references)
    torch.cuda.synchronize()
    return time.perf_counter() - start
