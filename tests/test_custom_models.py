"""Custom models, by import path: used like any other, or refused with one clear error."""

import logging
import sys

import pytest
import torch

from fixtures.attribution_models import one_hot as random_sequences
from seqlift import SeqliftError, deeplift
from seqlift.models.architecture import resolve_architecture
from seqlift.models.build import build_model
from seqlift.models.checkpoint import load_model, save_checkpoint
from seqlift.models.outputs import ProfileOutput
from seqlift.models.shape import Shape

LENGTH = 40

SOURCE = """
import torch
from torch import nn

class Motifs(nn.Module):
    def __init__(self, length, n_targets, filters=4, kernels=(5,)):
        super().__init__()
        self.scan = nn.Conv1d(4, filters, kernels[0])
        self.read = nn.LazyLinear(n_targets)

    def forward(self, x):
        return self.read(self.scan(x).relu().mean(2))

class Profile(nn.Module):
    def __init__(self, length, n_targets, strands, window, control_channels, width=7):
        super().__init__()
        self.size = (n_targets, strands, window)
        self.scan = nn.Conv1d(4, n_targets * strands, width, padding="same")
        self.start = (length - window) // 2

    def forward(self, x, control=None):
        hits = self.scan(x)
        logits = hits[:, :, self.start : self.start + self.size[2]].unflatten(1, self.size[:2])
        counts = hits.mean(2).unflatten(1, self.size[:2]).sum(2)
        if control is not None:
            counts = counts + control.sum((1, 2))[:, None]
        return logits, counts

class NeedsControl(Profile):
    def forward(self, x, control):
        return super().forward(x, control)

class Swapped(Profile):
    def forward(self, x, control=None):
        return super().forward(x, control)[::-1]

class Alone(nn.Module):
    def __init__(self, length, n_targets):
        super().__init__()
        self.read = nn.Linear(4 * length, n_targets)

    def forward(self, x):
        return self.read(x.flatten(1)).sum(1)

class Endless(Alone):
    def forward(self, x):
        return torch.log(-self.read(x.flatten(1)).square())

class Sizes(Alone):
    def forward(self, x):
        return self.read(x)

class Both(Alone):
    def forward(self, x):
        return {"logits": self.read(x.flatten(1))}

class Plain:
    def __init__(self, length, n_targets):
        raise AssertionError("must never be called")
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A current folder with a module that is nowhere else."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_lab").mkdir()
    (tmp_path / "my_lab" / "nets.py").write_text(SOURCE)
    (tmp_path / "broken.py").write_text("import torch\nimport no_such_package_here\n")
    (tmp_path / "unfinished.py").write_text("class Net(:\n")
    path = list(sys.path)
    yield tmp_path
    assert sys.path == path
    for name in [name for name in sys.modules if name.split(".")[0] in ("my_lab", "broken", "unfinished")]:
        del sys.modules[name]


def sequences(n, seed=0):
    return random_sequences(n, LENGTH, seed, torch.float32)


def test_a_class_in_the_current_folder_is_a_model(folder, caplog):
    architecture = {"type": "my_lab.nets:Motifs", "arguments": {"filters": 6, "kernels": [3]}, "replicates": 2}
    with caplog.at_level(logging.INFO, "seqlift"):
        model = build_model(architecture, Shape(LENGTH, 3))
    assert [record.getMessage() for record in caplog.records] == [
        "my_lab.nets:Motifs: importing my_lab.nets, which runs its code"
    ]
    assert len(model.members) == 2 and model.members[0].scan.weight.shape == (6, 4, 3)
    assert model(sequences(5)).shape == (5, 3)
    resolved = resolve_architecture(architecture)
    assert resolved == architecture | {"head": "classes", "both_strands": False}


def test_its_checkpoint_is_enough_and_it_is_explained(folder):
    architecture = {"type": "my_lab.nets:Motifs", "arguments": {"filters": 6}}
    shape = Shape(LENGTH, 2)
    model = build_model(architecture, shape)
    save_checkpoint("m.ckpt", model, architecture=architecture, targets=["a", "b"], shape=shape, training={})
    for name in ("my_lab.nets", "my_lab"):
        del sys.modules[name]
    loaded = load_model("m.ckpt")
    x = sequences(3)
    with torch.no_grad():
        assert torch.equal(loaded.model(x), model.eval()(x))
    assert deeplift(loaded.model, x, n_references=3, target=1).delta.abs().max() < 1e-6


@pytest.mark.parametrize("channels", [0, 2])
def test_a_plain_tuple_is_a_profile(folder, channels):
    architecture = {"type": "my_lab.nets:Profile", "head": "profile", "both_strands": True}
    model = build_model(architecture, Shape(LENGTH, 2, strands=2, window=20, control_channels=channels))
    control = torch.ones(3, channels, 20) if channels else None
    found = model(sequences(3), control)
    assert isinstance(found, ProfileOutput)
    assert found.logits.shape == (3, 2, 2, 20) and found.log_counts.shape == (3, 2)


@pytest.mark.parametrize(
    ("architecture", "words"),
    [
        ({"type": "nowhere:Net"}, r"model.type \(='nowhere:Net'\): there is no module 'nowhere' in the current folder"),
        ({"type": "my_lab.other:Net"}, "there is no module 'my_lab.other' in the current folder"),
        ({"type": "my_lab.nets:Net"}, "Net is no class in my_lab.nets; it has: Motifs, Profile, NeedsControl"),
        ({"type": "my_lab.nets:Plain"}, "Plain is not a class derived from torch.nn.Module"),
        ({"type": "my_lab.nets:torch"}, "torch is not a class derived from torch.nn.Module"),
        ({"type": "subprocess:Popen", "arguments": {"args": ["touch", "x"]}}, "Popen is not a class derived from"),
        ({"type": "my_lab/nets.py:Net"}, "must be package.module:Class"),
        ({"type": "my_lab.nets:"}, "must be package.module:Class"),
        (
            {"type": "broken:Net"},
            r"importing broken failed: ModuleNotFoundError: .*no_such_package.*broken.py:2\)",
        ),
        ({"type": "unfinished:Net"}, "importing unfinished failed: SyntaxError"),
        (
            {"type": "my_lab.nets:Motifs", "arguments": {"width": 3}},
            "length, n_targets, width.* TypeError: .*'width'.*model.arguments",
        ),
        ({"type": "my_lab.nets:Motifs", "arguments": {"length": 3}}, "model.arguments names 'length', which seqlift"),
        ({"type": "my_lab.nets:Motifs", "arguments": [3]}, r"`arguments` \(=\[3\]\) must be keyword arguments"),
        ({"type": "my_lab.nets:Motifs", "filters": 3}, "`filters` is an unknown setting.*`arguments`"),
        ({"type": "my_lab.nets:Alone"}, r"returns \(3,\); with model.head \(='classes'\) it must return \(3, 2\)"),
        ({"type": "my_lab.nets:Both"}, r"returns dict; .* it must return \(3, 2\): \(N, targets\)"),
        ({"type": "my_lab.nets:Endless"}, "numbers that are not finite"),
        ({"type": "my_lab.nets:Sizes"}, r"fails on a trial batch of shape \(3, 4, 40\): RuntimeError: "),
        ({"type": "my_lab.nets:Profile"}, "length, n_targets failed: TypeError"),
        ({"type": "my_lab.nets:Motifs", "head": "profile"}, "strands, window, control_channels failed: TypeError"),
        (
            {"type": "my_lab.nets:NeedsControl", "head": "profile"},
            "needs `control`, but no target has a control track",
        ),
        (
            {"type": "my_lab.nets:Swapped", "head": "profile"},
            r"returns \(3, 2\) and \(3, 2, 1, 20\); .*must return \(3, 2, 1, 20\) and \(3, 2\): logits",
        ),
    ],
)
def test_what_cannot_be_used_is_said_in_one_error(folder, architecture, words):
    with pytest.raises(SeqliftError, match=words):
        build_model(architecture, Shape(LENGTH, 2, window=20))
    assert not (folder / "x").exists()


def test_the_trial_leaves_no_trace(folder):
    torch.manual_seed(0)
    model = build_model({"type": "my_lab.nets:Profile", "head": "profile"}, Shape(LENGTH, 2, window=20))
    state = torch.get_rng_state()
    torch.manual_seed(0)
    own = sys.modules["my_lab.nets"].Profile(LENGTH, 2, 1, 20, 0)
    assert torch.equal(torch.get_rng_state(), state)
    assert model.training and torch.equal(model.network.scan.weight, own.scan.weight)
