"""What runs on a GPU gives what the CPU gives. Without a GPU these tests skip themselves."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F

from seqlift import deeplift, interior_gradients, mutagenesis
from seqlift.attribution.rules import RULES
from seqlift.core.devices import describe_device
from seqlift.data.genome import Genome
from seqlift.data.signal import Signal
from seqlift.data.windows import one_hot
from seqlift.models.build import build_model
from seqlift.models.shape import Shape
from seqlift.training.dataset import FixedRegions, TrainingRegions

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")

LENGTH = 120


@pytest.fixture(autouse=True)
def full_precision(monkeypatch):
    """TF32 would round the products of float32 to 10 bits."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    monkeypatch.setattr(torch.backends.cuda.matmul, "allow_tf32", False)


def random_model_and_sequences(kind="basset", n=6):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = build_model({"type": kind}, Shape(LENGTH, 2))
        return model, F.one_hot(torch.randint(0, 4, (n, LENGTH)), 4).mT.float()


@pytest.mark.parametrize("kind", ["deepbind", "basset", "dilated", "paper"])
@pytest.mark.parametrize("explain", [deeplift, interior_gradients])
def test_gpu_and_cpu_agree(kind, explain):
    model, sequences = random_model_and_sequences(kind)
    on_cpu = explain(model, sequences, n_references=4, target=1)
    on_gpu = explain(model, sequences, n_references=4, target=1, device="cuda")
    scale = float(on_cpu.hypothetical.abs().max())
    torch.testing.assert_close(on_gpu.hypothetical, on_cpu.hypothetical, rtol=1e-3, atol=1e-4 * scale)
    torch.testing.assert_close(on_gpu.prediction, on_cpu.prediction, rtol=1e-4, atol=1e-5)
    assert next(model.parameters()).device.type == "cpu"


def test_a_model_on_the_gpu_stays_there():
    model, sequences = random_model_and_sequences("paper")
    result = deeplift(model.cuda(), sequences, n_references=2)
    assert next(model.parameters()).device.type == "cuda" and result.hypothetical.device.type == "cpu"


@pytest.mark.parametrize("rule", RULES)
def test_all_rules_agree_with_the_cpu(rule):
    model, sequences = random_model_and_sequences()
    on_cpu, on_gpu = (deeplift(model, sequences, rule=rule, n_references=4, device=d) for d in ("cpu", "cuda"))
    scale = float(on_cpu.hypothetical.abs().max())
    torch.testing.assert_close(on_gpu.hypothetical, on_cpu.hypothetical, rtol=1e-3, atol=1e-4 * scale)


def test_references_as_needed_and_mutagenesis():
    model, sequences = random_model_and_sequences()
    settings = {"n_references": "auto", "max_references": 30, "max_relative_error": 0.5}
    on_cpu, on_gpu = (deeplift(model, sequences, device=d, **settings) for d in ("cpu", "cuda"))
    assert torch.equal(on_gpu.n_references, on_cpu.n_references)
    on_cpu, on_gpu = (mutagenesis(model, sequences, device=d) for d in ("cpu", "cuda"))
    torch.testing.assert_close(on_gpu.effects, on_cpu.effects, rtol=1e-3, atol=1e-4)


def test_a_batch_that_does_not_fit_is_made_smaller():
    free, _ = torch.cuda.mem_get_info()

    class Greedy(torch.nn.Module):
        """Asks for an eighth of the free memory for each row."""

        def forward(self, x):
            if x.is_cuda:
                torch.empty(len(x), free // 8, dtype=torch.uint8, device=x.device)
            return x[:, 0].tanh().sum(-1, keepdim=True)

    _, sequences = random_model_and_sequences()
    large = deeplift(Greedy(), sequences, n_references=20, device="cuda", batch_size=1000)
    small = deeplift(Greedy(), sequences, n_references=20, device="cpu", batch_size=1)
    torch.testing.assert_close(large.hypothetical, small.hypothetical, rtol=1e-4, atol=1e-5)


@pytest.fixture
def genome(tmp_path):
    path = tmp_path / "genome.fa"
    random = np.random.default_rng(0)
    path.write_text("".join(f">chr{i}\n{''.join(random.choice(list('ACGTN'), 5000))}\n" for i in (1, 2)))
    with Genome(path, cache_dir=tmp_path / "cache") as opened:
        yield opened


def input_regions(genome, device, *, batch_size=None, n=40):
    """Peaks and shuffled negatives with a signal of two strands; for training, or in order with a `batch_size`."""
    random = np.random.default_rng(1)
    start = random.integers(10, 5000 - LENGTH - 10, n)
    kind = np.where(np.arange(n) % 4 == 3, "shuffled", "peak")
    name = [f"r{i}" if kind[i] == "peak" else f"r{i}_shuffle0" for i in range(n)]
    chrom = random.choice(["chr1", "chr2"], n)
    table = pd.DataFrame({"chrom": chrom, "start": start, "end": start + LENGTH, "name": name, "kind": kind})
    values = random.poisson(2, (n, 1, 2, 60)).astype(np.float32)
    signal = Signal(values, values[:, 0] + 1, random.random((n, 1)) < 0.5, window=40, margin=10, control_strands=2)
    settings = {"labels": random.random((n, 1)), "seed": 3, "device": device, "signal": signal}
    if batch_size:
        return FixedRegions(table, genome, batch_size=batch_size, **settings)
    return TrainingRegions(table, genome, jitter=10, reverse_complement=True, **settings)


def test_batches_cut_on_the_card_are_those_cut_on_the_cpu(genome):
    on_cpu, on_gpu = (input_regions(genome, device) for device in ("cpu", "cuda"))
    assert on_gpu.on_device and not on_cpu.on_device
    for epoch in range(3):
        index = np.random.default_rng(epoch).permutation(40)
        for expected, found in zip(on_cpu[epoch, index], on_gpu[epoch, index], strict=True):
            assert found.is_cuda and torch.equal(found.cpu(), expected)
    in_order = [input_regions(genome, device, batch_size=16) for device in ("cpu", "cuda")]
    for expected, found in zip(*in_order, strict=True):
        assert torch.equal(one_hot(found.codes).cpu(), one_hot(expected.codes))
        assert torch.equal(found.signal.cpu(), expected.signal) and torch.equal(found.control.cpu(), expected.control)


def test_training_and_validation_share_the_genome_on_the_card(genome):
    training, validation = input_regions(genome, "cuda"), input_regions(genome, "cuda", batch_size=16)
    assert training._source.bases.data_ptr() == validation._source.bases.data_ptr()


def test_a_genome_too_large_for_the_card_stays_on_the_cpu(genome, monkeypatch):
    expected = input_regions(genome, "cpu")[0, np.arange(40)]
    monkeypatch.setattr("torch.cuda.mem_get_info", lambda device: (1000, 1000))
    regions = input_regions(genome, "cuda")
    assert not regions.on_device
    batch = regions[0, np.arange(40)]
    assert not batch.codes.is_cuda and torch.equal(batch.codes, expected.codes)


def test_a_job_that_was_given_a_gpu_sees_that_one_only():
    """In a process of its own, as CUDA has started in this one."""
    job = (
        "import torch; from seqlift.core.devices import take_device; print(take_device('gpu=1')); "
        "print(torch.cuda.device_count(), float(torch.ones(5, device='cuda').sum()))"
    )
    done = subprocess.run([sys.executable, "-c", job], capture_output=True, text=True, timeout=300)
    assert done.stdout.split("\n")[:2] == ["('cuda', 1)", "1 5.0"], done.stderr


def test_the_log_names_the_card():
    name = torch.cuda.get_device_name(0)
    assert describe_device("cuda").startswith(f"{name} (CUDA {torch.version.cuda}, cuDNN ")
    assert describe_device(torch.device("cuda", 0), 2).startswith(f"2 x {name}")
