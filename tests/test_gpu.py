"""What runs on a GPU gives what the CPU gives. Without a GPU these tests skip themselves."""

import pytest
import torch
import torch.nn.functional as F

from seqlift import deeplift, interior_gradients
from seqlift.models import build_model

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")

LENGTH = 120


@pytest.fixture(autouse=True)
def full_precision(monkeypatch):
    """TF32 would round the products of float32 to 10 bits."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    monkeypatch.setattr(torch.backends.cuda.matmul, "allow_tf32", False)


@pytest.mark.parametrize("kind", ["basset", "dilated", "paper"])
@pytest.mark.parametrize("explain", [deeplift, interior_gradients])
def test_gpu_and_cpu_agree(kind, explain):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = build_model({"type": kind}, length=LENGTH, n_targets=2)
        sequences = F.one_hot(torch.randint(0, 4, (6, LENGTH)), 4).mT.float()
    on_cpu = explain(model, sequences, n_references=4, target=1)
    on_gpu = explain(model, sequences, n_references=4, target=1, device="cuda")
    scale = float(on_cpu.hypothetical.abs().max())
    torch.testing.assert_close(on_gpu.hypothetical, on_cpu.hypothetical, rtol=1e-3, atol=1e-4 * scale)
    torch.testing.assert_close(on_gpu.prediction, on_cpu.prediction, rtol=1e-4, atol=1e-5)
    assert next(model.parameters()).device.type == "cpu"


def test_a_model_on_the_gpu_stays_there():
    model = build_model({"type": "paper"}, length=LENGTH, n_targets=1).cuda()
    sequences = F.one_hot(torch.randint(0, 4, (3, LENGTH)), 4).mT.float()
    result = deeplift(model, sequences, n_references=2)
    assert next(model.parameters()).device.type == "cuda" and result.hypothetical.device.type == "cpu"
