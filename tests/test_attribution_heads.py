"""What is explained of each head: the right number, exactly, on one strand or both, of one network or several."""

import pytest
import torch

from fixtures.attribution_models import one_hot
from seqlift import deeplift, interior_gradients, mutagenesis
from seqlift.attribution.explained_output import explained_output
from seqlift.models.architecture import kinds
from seqlift.models.build import build_model
from seqlift.models.ensemble import Ensemble
from seqlift.models.outputs import ProfileOutput, outputs_of
from seqlift.models.shape import Shape

LENGTH, WINDOW = 60, 30
SMALL = {
    "deepbind": {"filters": 8, "kernel": 7},
    "basset": {"filters": [8], "kernels": [7], "pools": [1], "dense": [8]},
    "dilated": {"filters": 6, "kernel": 7, "layers": 2, "profile_kernel": 9},
    "paper": {"filters": 8, "kernel": 5},
}
HEADS = [(kind, head) for kind in kinds() for head in ("classes", "counts")] + [("dilated", "profile")]
SHAPE = Shape(LENGTH, 2, strands=2, window=WINDOW, control_channels=4)


def sequences(n, seed=0):
    return one_hot(n, LENGTH, seed, torch.float32)


def built(kind, head, shape=SHAPE, seed=0, **options):
    """A model whose normalisation has seen sequences and has no threshold, so that something reaches its output."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = build_model({"type": kind, "head": head, **SMALL[kind], **options}, shape).train()
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm1d):
                torch.nn.init.zeros_(module.bias)
        for batch in range(30 if head != "profile" else 0):
            model(sequences(50, seed=batch + 1))
        return model.eval()


def outputs(model, head, shape=SHAPE):
    return [(output, explained_output([model], output, head, shape)) for output in outputs_of(head, ["a", "b"])]


@pytest.mark.parametrize("replicates", [1, 2])
@pytest.mark.parametrize("both_strands", [False, True])
@pytest.mark.parametrize(("kind", "head"), HEADS)
def test_contributions_add_up_on_every_head(kind, head, both_strands, replicates):
    model = built(kind, head, both_strands=both_strands, replicates=replicates)
    x = sequences(3, seed=99)
    for output, explained in outputs(model, head):
        result = deeplift(explained.module, x, n_references=4, target=explained.target, args=explained.args(x, None))
        change = (result.prediction[:, None] - result.reference_prediction).abs().max()
        assert change > 1e-4, output
        assert result.delta.abs().max() < 1e-4 * max(1, float(change)), output
        assert result.delta.abs().max() < 1e-3 * change, output


@pytest.mark.parametrize("both_strands", [False, True])
@pytest.mark.parametrize("quantity", ["counts", "profile"])
def test_paths_and_mutations_of_a_profile_model_add_up_too(quantity, both_strands):
    model = built("dilated", "profile", both_strands=both_strands)
    explained = next(e for output, e in outputs(model, "profile") if output.quantity == quantity)
    x = sequences(3, seed=99)
    args = explained.args(x, None)
    path = interior_gradients(explained.module, x, n_references=3, steps=300, target=explained.target, args=args)
    change = (path.prediction[:, None] - path.reference_prediction).abs()
    assert path.delta.abs().max() < 0.01 * change.max()
    found = mutagenesis(explained.module, x, target=explained.target, args=args)
    torch.testing.assert_close(found.prediction, path.prediction)
    mutant = x[:1].clone()
    mutant[0, :, 30] = mutant[0, :, 30].roll(1)
    changed = explained.module(mutant, *(arg[:1] for arg in args))[:, explained.target]
    base = int(mutant[0, :, 30].argmax())
    torch.testing.assert_close(found.effects[0, base, 30], (changed - found.prediction[0])[0], rtol=1e-4, atol=1e-6)


class LinearProfile(torch.nn.Module):
    """Logits that are linear in the sequence: z[t, s, w] = Σ weight · x, so every contribution is known."""

    def __init__(self, strands=2):
        super().__init__()
        random = torch.Generator().manual_seed(5)
        self.weight = torch.nn.Parameter(torch.randn(2, strands, WINDOW, 4, LENGTH, generator=random))

    def forward(self, x, control=None):
        logits = torch.einsum("tswal,nal->ntsw", self.weight, x)
        return ProfileOutput(logits, logits.sum((2, 3)) / 100)


@pytest.mark.parametrize("index", [0, 1])
def test_a_linear_profile_is_explained_by_its_weights(index):
    """By hand: with w = softmax z(x), f = Σ w (z - mean z) has the multipliers Σ (w - 1/SW) · weight."""
    model, shape = LinearProfile(), Shape(LENGTH, 2, strands=2, window=WINDOW)
    output = outputs_of("profile", ["a", "b"])[2 * index + 1]
    explained = explained_output([model], output, "profile", shape)
    x, references = sequences(3), torch.rand(3, 2, 4, LENGTH)
    weight = model.weight[index].detach().flatten(0, 1)  # (SW, 4, L)
    logits = torch.einsum("wal,nal->nw", weight, x)
    shares = torch.exp(logits) / torch.exp(logits).sum(1, keepdim=True)
    multipliers = torch.einsum("nw,wal->nal", shares - 1 / (2 * WINDOW), weight)
    expected = multipliers - (multipliers[:, None] * references).sum(2).mean(1)[:, None]
    args = explained.args(x, None)
    torch.testing.assert_close(args[0], shares)
    for method in (deeplift, interior_gradients):
        found = method(explained.module, x, references, target=explained.target, args=args)
        torch.testing.assert_close(found.hypothetical, expected, rtol=1e-3, atol=1e-4)
        value = (shares * (logits - logits.mean(1, keepdim=True))).sum(1)
        torch.testing.assert_close(found.prediction, value, rtol=1e-4, atol=1e-4)
    changes = mutagenesis(explained.module, x, target=explained.target, args=args)
    effects = multipliers - (multipliers * x).sum(1, keepdim=True)
    torch.testing.assert_close(changes.effects, effects, rtol=1e-3, atol=1e-4)


def test_weights_are_those_of_the_sequence_not_of_its_references():
    """An independent way: the gradient of Σ softmax(z).detach() · z, which captum-like code takes for a linear net."""
    model = LinearProfile()
    explained = explained_output(
        [model], outputs_of("profile", ["a", "b"])[1], "profile", Shape(LENGTH, 2, strands=2, window=WINDOW)
    )
    x = sequences(2).requires_grad_()
    logits = model(x).logits[:, 0].flatten(1)
    centred = logits - logits.mean(1, keepdim=True)
    (gradient,) = torch.autograd.grad((centred.softmax(1).detach() * centred).sum(), x)
    references = torch.zeros(1, 4, LENGTH)
    found = deeplift(explained.module, x.detach(), references, args=explained.args(x.detach(), None))
    torch.testing.assert_close(found.hypothetical, gradient, rtol=1e-3, atol=1e-4)


def test_both_strands_of_a_profile_are_explained_alike():
    model = built("dilated", "profile", both_strands=True, replicates=2).double()
    x = sequences(3).double()
    references = sequences(12, seed=7).double().view(3, 4, 4, LENGTH)
    for output, explained in outputs(model, "profile"):
        forward, reverse = (
            deeplift(explained.module, given, held, target=explained.target, args=explained.args(given, None))
            for given, held in ((x, references), (x.flip(1, 2), references.flip(2, 3)))
        )
        assert forward.delta.abs().max() < 1e-12, output
        torch.testing.assert_close(reverse.hypothetical, forward.hypothetical.flip(1, 2), rtol=1e-9, atol=1e-12)


def test_control_tracks_are_zero():
    shape = Shape(LENGTH, 2, window=WINDOW, control_channels=2)
    model = built("dilated", "profile", shape=shape)
    x = sequences(4)
    with torch.no_grad():
        found = model(x, torch.zeros(4, 2, WINDOW))
    for output, explained in outputs(model, "profile", shape):
        logits = found.logits[:, output.index].flatten(1)
        expected = (logits.softmax(1) * (logits - logits.mean(1, keepdim=True))).sum(1)
        expected = expected if output.quantity == "profile" else found.log_counts[:, output.index]
        torch.testing.assert_close(explained.predict(x, "cpu"), expected)


@pytest.mark.parametrize(("kind", "head"), [("paper", "classes"), ("dilated", "profile")])
def test_the_mean_of_models_has_the_mean_of_their_contributions(kind, head):
    models = [built(kind, head, seed=seed, both_strands=seed > 0) for seed in range(3)]
    x, references = sequences(2), sequences(6, seed=4).view(2, 3, 4, LENGTH)
    for output in outputs_of(head, ["a", "b"]):
        mean = explained_output(models, output, head, SHAPE)
        args = mean.args(x, None)  # the same weights for all
        singles = [explained_output([model], output, head, SHAPE) for model in models]
        expected = [deeplift(e.module, x, references, target=e.target, args=args).contributions for e in singles]
        found = deeplift(mean.module, x, references, target=mean.target, args=args)
        torch.testing.assert_close(found.contributions, torch.stack(expected).mean(0), rtol=1e-3, atol=1e-6)
        if head == "profile" and output.quantity == "profile":
            with torch.no_grad():
                logits = Ensemble(models)(x, torch.zeros(2, 4, WINDOW)).logits[:, output.index]
            torch.testing.assert_close(args[0], logits.flatten(1).softmax(1))


def test_the_model_is_left_as_it_was():
    model = built("dilated", "profile").train()
    explained = outputs(model, "profile")[1][1]
    before = {name: values.clone() for name, values in model.state_dict().items()}
    args = explained.args(sequences(2), None)
    explained.predict(sequences(2), None)
    deeplift(explained.module, sequences(2), n_references=2, args=args)
    assert model.training and all(weights.requires_grad for weights in model.parameters())
    assert all(torch.equal(values, before[name]) for name, values in model.state_dict().items())
