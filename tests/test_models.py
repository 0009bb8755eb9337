"""The networks: what goes in, what comes out, on one strand or both, for every head."""

import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from seqlift.errors import SeqliftError
from seqlift.models.architecture import defaults, kinds, resolve_architecture
from seqlift.models.build import build_model, start_at
from seqlift.models.ensemble import Ensemble, other_strand
from seqlift.models.outputs import outputs_of
from seqlift.models.predicting import predict, predict_profiles
from seqlift.models.shape import Shape

LENGTH, WINDOW = 60, 30
SMALL = {
    "deepbind": {"type": "deepbind", "filters": 8, "kernel": 7, "dense": 16},
    "basset": {"type": "basset", "filters": [8, 8], "kernels": [7, 3], "pools": [4, 1], "dense": [16]},
    "dilated": {"type": "dilated", "filters": 4, "kernel": 7, "layers": 2, "profile_kernel": 9},
    "paper": {"type": "paper", "filters": 8, "kernel": 5, "dense": 16},
}
HEADS = [(kind, "classes") for kind in kinds()] + [("basset", "counts"), ("dilated", "profile")]
CONTROLLED = Shape(LENGTH, 2, strands=2, window=WINDOW, control_channels=4)


def sequences(n, length=LENGTH, seed=0):
    codes = torch.randint(5, (n, length), generator=torch.Generator().manual_seed(seed))
    return F.one_hot(codes, 5)[:, :, :4].transpose(1, 2).float()


def control(n, shape=CONTROLLED, seed=0):
    random = torch.Generator().manual_seed(seed)
    return torch.randint(20, (n, shape.control_channels, shape.window), generator=random).float()


def small(kind, seed=1, shape=None, **options):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build_model(SMALL[kind] | options, Shape(LENGTH, 2) if shape is None else shape)


@pytest.mark.parametrize("kind", kinds())
def test_logits_of_each_sequence_stand_alone(kind):
    model = small(kind).train()
    for seed in range(30):
        model(sequences(50, seed=seed))  # untrained normalisation would let nothing through
    model.eval()
    batch = sequences(300)
    with torch.inference_mode():
        together = model(batch)
        alone = torch.cat([model(batch[i : i + 1]) for i in range(20)])
    assert together.shape == (300, 2)
    assert torch.allclose(together[:20], alone, atol=1e-5)
    assert together.std(dim=0).min() > 0


@pytest.mark.parametrize(("kind", "head"), HEADS)
def test_every_weight_takes_part(kind, head):
    profile = head == "profile"
    model = small(kind, head=head, shape=CONTROLLED if profile else None).train()
    found = model(sequences(64), control(64)) if profile else (model(sequences(64)),)
    sum(part.square().sum() for part in found).backward()
    assert all(weights.grad.abs().max() > 0 for weights in model.parameters())


@pytest.mark.parametrize("kind", kinds())
def test_defaults_fit_the_usual_lengths(kind):
    for length in (200, 1000):
        assert build_model({"type": kind}, Shape(length, 3))(sequences(2, length)).shape == (2, 3)
    found = build_model({"type": "dilated", "head": "profile", "layers": 8}, Shape(2114, 1, 2, 1000))(
        sequences(2, 2114)
    )
    assert found.logits.shape == (2, 1, 2, 1000) and found.log_counts.shape == (2, 1)


def test_paper_network_has_the_paper_s_size():
    # Conv 50 x 11 on 4 bases, conv 50 x 11 on 50 filters, dense 50, 3 outputs, each with its bias
    expected = (50 * 4 * 11 + 50) + (50 * 50 * 11 + 50) + (50 * 50 + 50) + (3 * 50 + 3)
    model = build_model({"type": "paper"}, Shape(200, 3))
    assert sum(weights.numel() for weights in model.parameters()) == expected


def test_deepbind_reads_the_best_match_and_the_mean_of_all():
    """A filter that is one k-mer: 1 where it occurs, and how often."""
    model = small("deepbind", dense=2, kernel=5, filters=1).eval()
    with torch.no_grad():
        model.scanner[0].weight.copy_(F.one_hot(torch.tensor([0, 2, 1, 3, 3]), 4).T[None])  # AGCTT
        for normalised, shift in ((model.scanner[1], -4), (model.head[1], 0)):
            normalised.weight.fill_((1 + normalised.eps) ** 0.5)  # its running variance is 1, its mean 0
            normalised.bias.fill_(shift)
        for dense in (model.head[3], model.head[6]):
            dense.weight.copy_(torch.eye(2))
            dense.bias.zero_()
        codes = torch.full((1, LENGTH), 1)
        for start in (3, 20, 40):
            codes[0, start : start + 5] = torch.tensor([0, 2, 1, 3, 3])
        found = model(F.one_hot(codes, 4).mT.float())
    torch.testing.assert_close(found, torch.tensor([[1.0, 3 / LENGTH]]))


@pytest.mark.parametrize("head", ["classes", "profile"])
@pytest.mark.parametrize(("layers", "reach"), [(0, 3), (1, 3 + 2), (3, 3 + 2 + 4 + 8)])
def test_dilated_layers_double_their_reach(layers, reach, head):
    shape = Shape(LENGTH, 1, window=WINDOW)
    architecture = {"type": "dilated", "head": head, "filters": 6, "kernel": 7, "layers": layers}
    model = build_model(architecture, shape)
    positions = {}
    model.eval().trunk.register_forward_hook(lambda _, given, made: positions.update(last=made))
    with torch.inference_mode():
        changed = sequences(1)
        model(changed)
        before = positions["last"]
        changed[0, :, 30] = torch.tensor([1.0, 2.0, -1.0, 3.0])
        model(changed)
    moved = (positions["last"] != before).any(dim=1)[0].nonzero()[:, 0]
    assert moved.min() >= 30 - reach and moved.max() <= 30 + reach
    assert moved.max() - moved.min() > reach  # and it does reach out


@pytest.mark.parametrize("head", ["classes", "profile"])
def test_sparse_channels_answer_to_few_places(head):
    """Three standard deviations above the mean: a thousandth of the places, not half of them."""
    shares = {}
    for sparse in (False, True):
        shape = Shape(LENGTH, 2, window=WINDOW) if head == "profile" else None
        model = small("dilated", head=head, shape=shape, layers=0, filters=16, sparse=sparse).train()
        shares[sparse] = (model.trunk(sequences(200)) > 0).float().mean().item()
    assert 0.3 < shares[False] < 0.7 and shares[True] < 0.01


def test_the_profile_lies_over_the_middle_of_the_sequence():
    """Logits that only copy the trunk show where each of them looks."""
    shape = Shape(LENGTH, 1, strands=1, window=WINDOW)
    model = small("dilated", head="profile", filters=1, profile_kernel=1, shape=shape).eval()
    with torch.no_grad():
        model.profile.weight.fill_(1)
        model.profile.bias.zero_()
        x = sequences(2)
        torch.testing.assert_close(model(x).logits[:, 0, 0], model.trunk(x)[:, 0, 15:45])


@pytest.mark.parametrize(("kernel", "before", "after"), [(9, 4, 4), (8, 4, 3)])
def test_a_logit_looks_at_its_surroundings(kernel, before, after):
    shape = Shape(LENGTH, 1, strands=2, window=WINDOW, control_channels=1)
    model = small("dilated", head="profile", filters=1, profile_kernel=kernel, shape=shape).eval()
    tracks = control(1, shape).requires_grad_()
    positions = torch.rand(1, 1, LENGTH, requires_grad=True)
    model.trunk.forward = lambda x: positions
    model(sequences(1), tracks).logits[0, 0, 1, 10].backward()
    seen = positions.grad[0, 0].nonzero()[:, 0]
    assert (int(seen.min()), int(seen.max())) == (25 - before, 25 + after)
    assert set(tracks.grad[0, 0].nonzero()[:, 0].tolist()) == set((seen - 15).tolist())


def test_control_tracks_are_added_to_the_profile_and_their_total_to_the_counts():
    model = small("dilated", head="profile", shape=CONTROLLED).eval()
    x, tracks = sequences(3), control(3)
    with torch.no_grad():
        without, given = model(x, torch.zeros_like(tracks)), model(x, tracks)
        kernel = model.control.weight.flip(2).transpose(0, 1)  # of the ordinary convolution
        shown = F.conv1d(torch.log1p(tracks), kernel, padding=4).view(3, 2, 2, WINDOW)
        torch.testing.assert_close(given.logits - without.logits, shown, rtol=1e-4, atol=1e-5)
        shuffled = model(x, tracks.flip(2))
    torch.testing.assert_close(shuffled.log_counts, given.log_counts)  # of the control only the total counts
    assert (given.log_counts - without.log_counts).abs().min() > 0
    with torch.no_grad():  # by hand: the mean over positions and the log totals, read by two dense layers
        pooled = torch.cat([model.trunk(x).mean(2), torch.log1p(tracks.sum(2))], 1)
        scaled = pooled / (1 + model.counts[0].eps) ** 0.5  # normalisation by a running variance of 1, a mean of 0
        expected = model.counts[5](model.counts[2](scaled).relu())
    torch.testing.assert_close(given.log_counts, expected)


def test_a_profile_stands_alone():
    model = small("dilated", head="profile", shape=CONTROLLED).train()
    x, tracks = sequences(8), control(8)
    with torch.no_grad():
        model(x, tracks)
        for together, alone in zip(model.eval()(x, tracks), model(x[:3], tracks[:3]), strict=True):
            torch.testing.assert_close(together[:3], alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", kinds())
def test_a_counts_model_starts_at_the_mean_counts(kind):
    model = small(kind, head="counts", replicates=2).eval()
    x = sequences(20)
    with torch.no_grad():
        bias = [member.output_bias.clone() for member in model.members]
        before = model(x)
        start_at(model, torch.tensor([3.0, 7.0]))
        shift = torch.tensor([3.0, 7.0]) - torch.stack(bias).mean(0)
        torch.testing.assert_close(model(x), before + shift, rtol=1e-4, atol=1e-4)


def test_resolved_architecture_is_whole_and_plain():
    resolved = resolve_architecture({"type": "basset", "filters": (8, 8), "kernels": (5, 5), "pools": (1, 1)})
    assert resolved["type"] == "basset" and resolved["filters"] == [8, 8]
    assert set(resolved) == {"type", *defaults("basset")}
    assert json.loads(json.dumps(resolved)) == resolved == resolve_architecture(resolved)
    assert (resolved["head"], resolved["both_strands"], resolved["replicates"]) == ("classes", False, 1)


@pytest.mark.parametrize(
    ("architecture", "message"),
    [
        ({"type": "transformer"}, "'transformer'.*basset, deepbind, dilated, paper"),
        ({}, "None"),
        ({"type": "paper", "layers": 3, "width": 2}, "`layers` is an unknown setting; there are filters"),
        ({"type": "paper", "filters": 2.5}, r"`filters` \(=2.5\) must be a whole number of at least 1"),
        ({"type": "dilated", "layers": -1}, r"`layers` \(=-1\) must be a whole number of at least 0"),
        ({"type": "paper", "filters": True}, r"`filters` \(=True\) must be a whole number of at least 1"),
        ({"type": "basset", "filters": 64}, r"`filters` \(=64\) must be a list"),
        ({"type": "basset", "pools": [0, 2]}, r"`pools` \(=0\) must be a whole number of at least 1"),
        ({"type": "basset", "dropout": 1.0}, r"`dropout` \(=1.0\) must be .* less than 1"),
        ({"type": "basset", "filters": [8, 8]}, "filters has 2, kernels has 1"),
        (
            {"type": "basset", "filters": [8, 8], "kernels": [5, 3], "pools": [16, 4]},
            "leave nothing of a length of 60 bp",
        ),
        ({"type": "paper", "kernel": 31}, "too short for model.kernel"),
        ({"type": "dilated", "layers": 6}, "beyond the length of 60 bp"),
        ({"type": "paper", "head": "signal"}, r"`head` \(='signal'\) must be one of classes, counts, profile"),
        ({"type": "paper", "both_strands": 1}, r"`both_strands` \(=1\) must be true or false"),
        ({"type": "paper", "head": "profile"}, "'paper'.*'profile'.*use dilated"),
        ({"type": "dilated", "head": "profile"}, "needs targets with signal"),
    ],
)
def test_wrong_architectures_are_refused(architecture, message):
    with pytest.raises(SeqliftError, match=message):
        build_model(architecture, Shape(LENGTH, 2))


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ((0, 1), "needs a length"),
        ((60, 0), "targets"),
        ((60, 2, 3, 30), "3 strands"),
        ((60, 2, 1, 30, 3), "control 3 tracks for 2 targets"),
        ((60, 2, 1, 61), r"signal.window \(=61 bp\) must be at most the length"),
        ((60, 2, 1, 31), "differ from it by an even number"),
    ],
)
def test_sizes_that_do_not_fit_together_are_refused(sizes, message):
    with pytest.raises(SeqliftError, match=message):
        Shape(*sizes)


def test_outputs_have_names_of_their_own():
    assert [output.name for output in outputs_of("classes", ["A", "B"])] == ["A", "B"]
    profile = outputs_of("profile", ["A", "B"])
    assert [output.name for output in profile] == ["A.counts", "A.profile", "B.counts", "B.profile"]
    assert [(output.target, output.index, output.quantity) for output in profile[2:]] == [
        ("B", 1, "counts"),
        ("B", 1, "profile"),
    ]


def test_replicates_alone_read_one_strand():
    model = small("paper", replicates=2).eval()
    x = sequences(5)
    with torch.no_grad():
        torch.testing.assert_close(model(x), (model.members[0](x) + model.members[1](x)) / 2)
    assert not isinstance(small("paper"), Ensemble) and isinstance(small("paper", both_strands=True), Ensemble)


def test_an_ensemble_is_the_mean_of_its_members_over_both_strands():
    model = small("basset", replicates=3, both_strands=True).eval()
    x = sequences(5)
    with torch.no_grad():
        expected = sum(member(strand) for member in model.members for strand in (x, x.flip(1, 2))) / 6
        torch.testing.assert_close(model(x), expected)
        torch.testing.assert_close(model(x.flip(1, 2)), model(x))
        torch.testing.assert_close(model.each(x)[1], model.members[1](x))
    first, second = (member.state_dict()["layers.0.weight"] for member in model.members[:2])
    assert not torch.equal(first, second)


def test_the_profile_of_the_other_strand_is_reversed():
    model = small("dilated", head="profile", replicates=2, both_strands=True, shape=CONTROLLED).eval()
    x, tracks = sequences(4), control(4)
    with torch.no_grad():
        found = model(x, tracks)
        # One by one: the plus strand of the reverse complement is the minus strand, read from its other end
        swapped = torch.empty_like(tracks)
        for target in range(2):
            for strand in range(2):
                swapped[:, 2 * target + strand] = tracks[:, 2 * target + 1 - strand].flip(1)
        torch.testing.assert_close(other_strand(tracks, 2), swapped)
        logits, counts = 0, 0
        for member in model.members:
            forward, reverse = member(x, tracks), member(x.flip(1, 2), swapped)
            logits = (
                logits + (forward.logits + torch.stack([reverse.logits[:, :, 1 - s].flip(2) for s in (0, 1)], 2)) / 4
            )
            counts = counts + (forward.log_counts + reverse.log_counts) / 4
        torch.testing.assert_close(found.logits, logits)
        torch.testing.assert_close(found.log_counts, counts)
        other = model(x.flip(1, 2), swapped)
        torch.testing.assert_close(other.logits, found.logits.flip(2, 3))
        torch.testing.assert_close(other.log_counts, found.log_counts)


@pytest.mark.parametrize(("kind", "head"), HEADS)
def test_predictions_batch_by_batch_are_the_model_s(kind, head):
    profile = head == "profile"
    model = small(kind, head=head, both_strands=True, shape=CONTROLLED if profile else None)
    codes = torch.randint(5, (23, LENGTH), generator=torch.Generator().manual_seed(3)).to(torch.uint8).numpy()
    x = F.one_hot(torch.from_numpy(codes).long(), 5)[:, :, :4].mT.float()
    tracks = control(23) if profile else None
    if profile:
        found = predict_profiles(model.train(), codes, control=tracks.numpy(), batch_size=10)
    else:
        found = (predict(model.train(), codes, batch_size=10),)
    with torch.no_grad():
        expected = model.eval()(x, tracks) if profile else (model.eval()(x),)
    for part, wanted in zip(found, expected, strict=True):
        torch.testing.assert_close(torch.from_numpy(part), wanted, rtol=1e-4, atol=1e-5)


def test_training_brings_a_profile_model_to_planted_signal():
    """The signal lies at one 6-mer, and there is more of it where there are more: both are learnt."""
    random = torch.Generator().manual_seed(0)
    n, word = 512, torch.tensor([0, 2, 1, 3, 3, 0])
    codes = torch.randint(4, (n, LENGTH), generator=random)
    places = torch.randint(WINDOW - 10, (n,), generator=random)
    there = torch.arange(n) % 2 == 0
    signal = torch.full((n, 1, 1, WINDOW), 0.1)
    for i in torch.where(there)[0]:
        start = int(places[i])
        codes[i, start + 15 : start + 21] = word
        signal[i, 0, 0, start : start + 6] += 20
    x, counts = F.one_hot(codes, 4).mT.float(), torch.log1p(signal.sum((2, 3)))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        shape = Shape(LENGTH, 1, window=WINDOW)
        options = {"filters": 16, "kernel": 9, "layers": 2, "profile_kernel": 11, "dropout": 0.0}
        model = build_model({"type": "dilated", "head": "profile", **options}, shape)
        start_at(model, counts.mean(0))
        optimizer = torch.optim.Adam(model.parameters(), 3e-3)
        for _ in range(150):
            found = model(x[:384])
            share = signal[:384] / signal[:384].sum((2, 3), keepdim=True)
            loss = -(share * found.logits.flatten(2).log_softmax(2).view_as(share)).sum((1, 2, 3)).mean()
            loss = loss + (found.log_counts - counts[:384]).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        found = model.eval()(x[384:])
    held_out = there[384:]
    best = found.logits[:, 0, 0].argmax(1)[held_out] - places[384:][held_out]
    assert ((best >= 0) & (best < 6)).float().mean() > 0.9
    assert torch.corrcoef(torch.stack([found.log_counts[:, 0], counts[384:, 0]]))[0, 1] > 0.75


def test_predictions_that_are_not_finite_are_an_error():
    model = small("deepbind", dense=2, kernel=5, filters=1)
    with torch.no_grad():
        next(iter(model.parameters())).fill_(float("nan"))
    with pytest.raises(SeqliftError, match=r"output for sequence 0 .* is not finite, nor that of 2 more of 3"):
        predict(model, np.zeros((3, LENGTH), dtype=np.uint8))
