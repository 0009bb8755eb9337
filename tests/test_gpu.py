"""What runs on a GPU gives what the CPU gives. Without a GPU these tests skip themselves."""

import pytest
import torch
import torch.nn.functional as F

from seqlift import deeplift, interior_gradients, mutagenesis
from seqlift.attribution.rules import RULES
from seqlift.models import Shape, build_model

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")

LENGTH = 120


@pytest.fixture(autouse=True)
def full_precision(monkeypatch):
    """TF32 would round the products of float32 to 10 bits."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    monkeypatch.setattr(torch.backends.cuda.matmul, "allow_tf32", False)


@pytest.mark.parametrize("kind", ["deepbind", "basset", "dilated", "paper"])
@pytest.mark.parametrize("explain", [deeplift, interior_gradients])
def test_gpu_and_cpu_agree(kind, explain):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = build_model({"type": kind}, Shape(LENGTH, 2))
        sequences = F.one_hot(torch.randint(0, 4, (6, LENGTH)), 4).mT.float()
    on_cpu = explain(model, sequences, n_references=4, target=1)
    on_gpu = explain(model, sequences, n_references=4, target=1, device="cuda")
    scale = float(on_cpu.hypothetical.abs().max())
    torch.testing.assert_close(on_gpu.hypothetical, on_cpu.hypothetical, rtol=1e-3, atol=1e-4 * scale)
    torch.testing.assert_close(on_gpu.prediction, on_cpu.prediction, rtol=1e-4, atol=1e-5)
    assert next(model.parameters()).device.type == "cpu"


def test_a_model_on_the_gpu_stays_there():
    model = build_model({"type": "paper"}, Shape(LENGTH, 1)).cuda()
    sequences = F.one_hot(torch.randint(0, 4, (3, LENGTH)), 4).mT.float()
    result = deeplift(model, sequences, n_references=2)
    assert next(model.parameters()).device.type == "cuda" and result.hypothetical.device.type == "cpu"


def random_model_and_sequences(kind="basset", n=6):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = build_model({"type": kind}, Shape(LENGTH, 2))
        return model, F.one_hot(torch.randint(0, 4, (n, LENGTH)), 4).mT.float()


@pytest.mark.parametrize("rule", RULES)
def test_all_rules_agree_with_the_cpu(rule):
    model, sequences = random_model_and_sequences()
    on_cpu, on_gpu = (deeplift(model, sequences, rule=rule, n_references=4, device=d) for d in ("cpu", "cuda"))
    scale = float(on_cpu.hypothetical.abs().max())
    torch.testing.assert_close(on_gpu.hypothetical, on_cpu.hypothetical, rtol=1e-3, atol=1e-4 * scale)


def test_references_as_needed_and_mutagenesis():
    model, sequences = random_model_and_sequences()
    settings = {"n_references": "auto", "max_references": 30, "error_share": 0.5}
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
