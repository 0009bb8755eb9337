"""The predicted track holds what the model expects at each base of its peaks, in the units of the signal."""

import json

import numpy as np
import pyBigWig
import pytest
import torch

from fixtures.evaluation import LENGTH, TARGETS, build_regions, write_model, write_regions
from seqlift.cli import main
from seqlift.data.genome import Genome
from seqlift.data.windows import load_one_hot
from seqlift.models.build import build_model
from seqlift.models.checkpoint import load_model, save_checkpoint
from seqlift.models.shape import Shape

WINDOW = 40


@pytest.fixture
def run(tmp_path):
    """Genome, table and flags of a run without overlaps; two of its peaks lie on each other."""
    genome, table, summary = build_regions(tmp_path)
    table.loc[1, ["start", "end", "summit"]] = table.loc[0, ["start", "end", "summit"]] + 10
    with Genome(genome) as opened:
        summary["genome"] = {"path": str(genome), "chromosomes": opened.sizes}
    regions, about = write_regions(tmp_path, table, summary)
    flags = ["tracks", "predicted", "--regions", str(regions), "--summary", str(about), "--genome", str(genome)]
    return genome, table, [*flags, "--target", TARGETS[1]]


def stranded_model(path, shift=3.0, scale=0.5):
    """A model of both strands, whose strands differ by a control that is not given."""
    shape = Shape(length=LENGTH, n_targets=2, window=WINDOW, strands=2, control_channels=4)
    architecture = {"type": "test_tracks_predicted:TwoStrands", "head": "profile", "arguments": {}}
    model = build_model(architecture, shape)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(("shift", "scale")):
                parameter.fill_(shift if name.endswith("shift") else scale)
    save_checkpoint(path, model, architecture=architecture, targets=list(TARGETS), shape=shape, training={"seed": 3})
    return path


class TwoStrands(torch.nn.Module):
    """Plus follows the A of the sequence, minus its G; a control other than zero would show."""

    def __init__(self, length, n_targets, window=0, strands=1, control_channels=0):
        super().__init__()
        self.first, self.window = (length - window) // 2, window
        self.shift = torch.nn.Parameter(torch.tensor(0.0))
        self.scale = torch.nn.Parameter(torch.tensor(1.0))

    def forward(self, sequences, control):
        inside = sequences[:, [0, 2], self.first : self.first + self.window] * self.scale  # (N, S, W)
        logits = torch.stack([inside, inside * 3], dim=1) + control.sum() * 9
        counts = sequences[:, 0].mean(1, keepdim=True).expand(-1, 2) + self.shift
        return logits, counts


def expected(models, genome, table, target):
    """Signal of each peak, (N, S, W), from the mean of the models' logits and log counts, written out."""
    with Genome(genome) as opened:
        sequences = load_one_hot(table, opened, seed=0)
    outputs = []
    for path in models:
        trained = load_model(path)
        control = torch.zeros(len(sequences), trained.shape.control_channels, WINDOW)
        with torch.no_grad():
            outputs.append(trained.model(sequences, control) if control.shape[1] else trained.model(sequences))
    logits = sum(found.logits[:, target].double() for found in outputs) / len(outputs)
    counts = sum(found.log_counts[:, target].double() for found in outputs) / len(outputs)
    shares = logits.flatten(1).softmax(1).reshape(logits.shape)
    return (shares * torch.expm1(counts.clamp(min=0))[:, None, None]).numpy()


def assert_track(path, table, values):
    """Each base of the peaks' windows has its value; where the first two overlap, that of the nearer centre."""
    with pyBigWig.open(str(path)) as track:
        for row, region in enumerate(table.itertuples()):
            start = region.start + (LENGTH - WINDOW) // 2
            found = np.array(track.values(region.chrom, start, start + WINDOW))
            if row == 0:
                assert found[26] == pytest.approx(values[1][16], rel=1e-5)  # centres lie 10 bp apart
                found, wanted = found[:26], values[0][:26]
            elif row == 1:
                found, wanted = found[16:], values[1][16:]
            else:
                wanted = values[row]
            np.testing.assert_allclose(found, wanted, rtol=1e-5)
        assert track.header()["nBasesCovered"] == len(table) * WINDOW - 30
    note = json.loads(path.with_name(path.name + ".json").read_text())
    assert (note["value"], note["target"], note["regions"]) == ("predicted", TARGETS[1], len(table))
    assert note["bases_in_several_regions"] == 30
    return note


def test_one_strand_of_one_model(run, tmp_path):
    genome, table, flags = run
    model = write_model(tmp_path / "m.ckpt", head="profile", shift=-2.0)
    assert main([*flags, "--model", str(model), "--output", str(tmp_path / "p.bw")]) == 0
    peaks = table[table["kind"] == "peak"].reset_index(drop=True)
    note = assert_track(tmp_path / "p.bw", peaks, expected([model], genome, peaks, 1)[:, 0])
    assert note["strand"] == "."


def test_both_strands_of_the_mean_of_two_models_without_control(run, tmp_path):
    genome, table, flags = run
    models = [stranded_model(tmp_path / "a.ckpt"), stranded_model(tmp_path / "b.ckpt", shift=1.0, scale=2.0)]
    outputs = [tmp_path / "p.bw", tmp_path / "p.minus.bw"]
    named = ["--output", str(outputs[0]), "--output-minus", str(outputs[1])]
    assert main([*flags, "--model", *map(str, models), *named]) == 0
    peaks = table[table["kind"] == "peak"].reset_index(drop=True)
    values = expected(models, genome, peaks, 1)
    for strand, path in enumerate(outputs):
        assert assert_track(path, peaks, values[:, strand])["strand"] == "+-"[strand]


def test_what_does_not_fit_is_named(run, tmp_path, capsys):
    _, _, flags = run
    one = write_model(tmp_path / "m.ckpt", head="profile")
    two = stranded_model(tmp_path / "s.ckpt")
    classes = write_model(tmp_path / "c.ckpt")

    def message(model, *more):
        assert main([*flags, "--model", str(model), "--output", str(tmp_path / "p.bw"), *more]) == 1
        assert not list(tmp_path.glob("*.bw*"))
        return capsys.readouterr().err

    assert "the model predicts classes, no profile" in message(classes)
    assert "give --output-minus, too" in message(two)
    assert "leave --output-minus out" in message(one, "--output-minus", str(tmp_path / "q.bw"))
    assert "no target 'none'; it has: one, two" in message(one, "--target", "none")
    assert f"of {LENGTH} bp, the model reads 60 bp" in message(
        write_model(tmp_path / "l.ckpt", head="profile", length=60)
    )
