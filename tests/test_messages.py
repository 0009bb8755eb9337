"""Whole messages as golden examples: what a user reads after a mistake. Everywhere else tests assert facts alone.

If a message here is reworded on purpose, change it here, too. It must still name file and line, or key and value, the
rule and the remedy.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from torch import nn

from fixtures.motif import one_hot, place, write_scores
from seqlift.attribution.deeplift import deeplift
from seqlift.cli import main
from seqlift.config import resolve_config
from seqlift.config.text import check_text
from seqlift.errors import SeqliftError

SCHEMA = yaml.safe_load((Path(__file__).parents[1] / "workflow/schemas/config.schema.yaml").read_text())
CONFIG = """\
name: run
genome: {fasta: genome.fa}
targets:
  - {name: GATA1, peaks: peaks.bed}
regions: {valid: [chr1], test: [chr2]}
"""
GENOME = "".join(f">chr{i}\n{'ACGT' * 100}\n" for i in (1, 2, 3))
TARGETS = "name\tpeaks\nGATA1\tpeaks.bed\n"
REGIONS = (
    "regions --genome genome.fa --targets targets.tsv --length 120 --background 0 --valid chr1 --test chr2 "
    "--output regions.tsv.gz --summary regions.json"
)

CONFIGS = {
    "unknown key": (
        CONFIG + "training: {epoch: 3}\n",
        "1 mistake in the config:\n  - training.epoch is an unknown key; did you mean `epochs`?",
    ),
    "old name": (
        CONFIG.replace("regions: {", "regions: {top_share: 0.5, "),
        "1 mistake in the config:\n  - regions.top_share is an unknown key; it is called top_fraction now",
    ),
    "old name of a method": (
        CONFIG + "attribution: {deeplift: {error_share: 0.1}}\n",
        "1 mistake in the config:\n  - attribution.deeplift.error_share is an unknown key; it is called "
        "max_relative_error now",
    ),
    "out of range": (
        CONFIG + "training: {learning_rate: 3}\n",
        "1 mistake in the config:\n  - training.learning_rate (=3.0) must be at most 1",
    ),
    "wrong type": (
        CONFIG + "training: {epochs: many}\n",
        "1 mistake in the config:\n  - training.epochs (='many') must be a whole number",
    ),
    "no such choice": (
        CONFIG + "attribution: {deeplift: {rule: rescaled}}\n",
        "1 mistake in the config:\n  - attribution.deeplift.rule (='rescaled') must be one of rescale, reveal-cancel, "
        "genomics; did you mean rescale?",
    ),
    "no such reference": (
        CONFIG + "attribution: {deeplift: {references: shuffle}}\n",
        "1 mistake in the config:\n  - attribution.deeplift.references (='shuffle') must be dinucleotide, "
        "mononucleotide, klet:<1 to 6>, genomic, genomic:<tolerance>, uniform, background:<A>,<C>,<G>,<T>, zeros or "
        "fasta:<path>",
    ),
    "missing file": (
        CONFIG.replace("peaks.bed", "peak.bed"),
        "1 mistake in the config:\n  - targets[0].peaks (='peak.bed') is missing: there is no file peak.bed; data_dir "
        "is '.'; correct the path or put the file there",
    ),
    "split overlaps": (
        CONFIG.replace("test: [chr2]", "test: [chr1]"),
        "1 mistake in the config:\n  - regions.test[0] (='chr1') is in regions.valid, too; a chromosome can be in one "
        "split only",
    ),
    "name twice": (
        CONFIG.replace("targets:\n", "targets:\n  - {name: GATA1, peaks: peaks.bed}\n"),
        "2 mistakes in the config:\n  - targets[1].name (='GATA1') is the name of targets[0], too; give each target a "
        "name of its own\n  - targets[1].peaks (='peaks.bed') is the file of targets[0], too; each target needs peaks "
        "of its own",
    ),
    "key twice": (
        CONFIG + "name: other\n",
        "config.yaml, line 6: the key 'name' is in line 1, too, and only the last would count; delete one of them",
    ),
    "not YAML": (
        CONFIG.replace("regions: {", "regions: "),
        "config.yaml, line 5, column 15: not YAML: mapping values are not allowed here; look there and in the line "
        "before for a bracket, quote or colon that is missing, or another indentation",
    ),
    "profile without signal": (
        CONFIG + "model: {type: dilated, head: profile}\n",
        "1 mistake in the config:\n  - targets[0].signal is missing; model.head (='profile') needs the signal of "
        "every target",
    ),
    "several": (
        CONFIG + "lengths: [10]\ntraining: {epochs: 0, seed: [1, 1]}\n",
        "3 mistakes in the config:\n  - regions.merge_distance (=50) must be smaller than half the shortest length "
        "(=10), so that a merged summit lies inside the window\n  - lengths (=10) must be at least 50 bp, so that "
        "motifs can be searched with these motifs.tfmodisco settings; take more, or smaller windows and flanks "
        "there\n  - training.epochs (=0) must be at least 1",
    ),
}
COMMANDS = {
    "column of a table": (
        {"targets.tsv": "name\tpeak\nGATA1\tpeaks.bed\n"},
        REGIONS,
        "targets.tsv:1: column 'peak' is unknown; the header line names columns out of name, peaks, signal, "
        "signal_minus, control, control_minus, unlabelled",
    ),
    "row of a table": (
        {"targets.tsv": "name\tpeaks\nGATA1\n"},
        REGIONS,
        "targets.tsv:2: 1 columns, must be 2 as in the header (name peaks); write '.' where there is none",
    ),
    "interval": (
        {"peaks.bed": "chr1\t300\t200\n"},
        REGIONS,
        "peaks.bed:1: start (300) must be smaller than end (200); BED counts from 0 and excludes the end",
    ),
    "number": (
        {"peaks.bed": "chr1\t1e2\t200\n"},
        REGIONS,
        "peaks.bed:1: start (column 2) is '1e2', must be a whole number; start a header line with '#'",
    ),
    "chromosome": (
        {"peaks.bed": "1\t100\t200\n"},
        REGIONS,
        "peaks.bed:1: 1 of 1 peaks lie on chromosomes that the FASTA file lacks: 1; genome.fa has chr1, chr2, chr3. "
        'They are written in another way: rename them, by rename_chromosomes: {"1": chr1} of a download, or by sed '
        "'s/^/chr/' on the file",
    ),
    "beyond the chromosome": (
        {"peaks.bed": "chr1\t100\t2000\n"},
        REGIONS,
        "peaks.bed:1: summit 1050 lies past the end of chr1 (400 bp in genome.fa), as do 1 in all; use the "
        "FASTA file of the assembly of the peaks",
    ),
    "no peaks": (
        {"peaks.bed": "# none\n"},
        REGIONS,
        "peaks.bed: holds no peak; was it cut short, or filtered until nothing was left?",
    ),
    "letter of a genome": (
        {"genome.fa": ">chr1\nACGT5\n"},
        REGIONS,
        "genome.fa:2: '5' in a sequence; only A, C, G, T, N and the other IUPAC letters of DNA are allowed",
    ),
    "chromosome twice": (
        {"genome.fa": ">chr1\nACGT\n>chr1\nACGT\n"},
        REGIONS,
        "genome.fa:3: chromosome 'chr1' is there a second time (first in line 1); names must be unique",
    ),
    "no genome": ({}, REGIONS.replace("genome.fa", "hg38.fa"), "hg38.fa: no such FASTA file; check the name"),
    "settings": (
        {},
        REGIONS + ' --settings {"ration":1}',
        "`ration` is an unknown setting; there are valid, test, folds, exclude_chromosomes, exclude_regions, "
        "include_regions, top_fraction, merge_distance, negatives, negatives_file, negative_sets, ratio, "
        "min_distance, max_n_fraction, background, seed, length, jitter, signal_window, missing, negative",
    ),
    "settings that are no JSON": (
        {},
        REGIONS + " --settings {ratio:1}",
        '--settings (={ratio:1}) must be a JSON object, as {"seed": 1}: Expecting property name enclosed in double '
        "quotes: line 1 column 2 (char 1)",
    ),
    "bound of a flag": ({}, REGIONS + " --ratio 0", "`ratio` (=0.0) must be a number greater than 0 and at most 100"),
    "score file": (
        {},
        "motifs --scores broken.h5 --output-dir out",
        "broken.h5: not an HDF5 file (Unable to synchronously open file (file signature not found)); make it again "
        "with `seqlift attribute`",
    ),
    "no score file": (
        {},
        "motifs --scores score.h5 --output-dir out",
        "score.h5: no such score file; `seqlift attribute` makes it",
    ),
    "database": (
        {},
        "motifs --scores scores.h5 --output-dir out --database jaspar:human",
        "`database` (='jaspar:human') must be jaspar: with one of vertebrates, fungi, plants, insects, nematodes, "
        "urochordates, or a path ending in .meme",
    ),
    "MEME file": (
        {"known.meme": "MEME version 4\n\nMOTIF A\nletter-probability matrix: w= 2\n0.1 0.2 0.3 0.4\n0.1 0.2 0.3\n"},
        "motifs --scores scores.h5 --output-dir out --database known.meme",
        "known.meme:6: '0.1 0.2 0.3' is not a row of four frequencies; line 4 announces 2 rows",
    ),
    "no motifs": (
        {},
        "logos --motifs out --output-dir out/logos",
        "out/motifs.json: no such file, so this is no folder of motifs, or one that was not finished; make the folder "
        "again with `seqlift motifs`",
    ),
    "sizes of a track": (
        {"sizes.fa": ">chr9\nACGT\n"},
        "tracks write --scores scores.h5 --genome-sizes sizes.fa --output out.bw",
        "scores.h5: its regions lie on chromosomes that the genome lacks: chr1; the genome has chr9; give the one "
        "that the regions were made from",
    ),
    "sites": (
        {"sites.bed": "chr1\t5\n"},
        "aggregate --scores scores.h5 --sites sites.bed --output-prefix out",
        "sites.bed:1: 2 columns, at least 3 are needed (chrom, start, end): 'chr1 5'",
    ),
    "run": (
        {},
        "summary --run-dir results/demo/200bp",
        "results/demo/200bp: no such folder; `--run-dir` is the folder results/<name>/<length>bp of a run",
    ),
    "address": (
        {},
        "fetch --url ftp:/example.org/x --output x",
        "`url` (='ftp:/example.org/x') must be an address that starts with https:// or http://, without user name and "
        "password, which the results would show, and with %.. for spaces and other characters that are not ASCII",
    ),
    "GPU": (
        {},
        "train --regions regions.tsv.gz --genome genome.fa --output-dir out --device gpu",
        "--device (='gpu') must be auto, cpu, cuda or gpu=N, N being a whole number",
    ),
    "model": (
        {"model.ckpt": "model", "regions.tsv.gz": ""},
        "attribute --model model.ckpt --regions regions.tsv.gz --genome genome.fa --target GATA1 --method deeplift "
        "--output out.h5",
        "regions.tsv.gz:1: not a table of regions: columns must be chrom start end name strand summit kind split set "
        "score gc source, then the targets",
    ),
}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A folder with a genome, peaks and targets that are right."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "genome.fa").write_text(GENOME)
    (tmp_path / "peaks.bed").write_text("chr1\t100\t200\nchr2\t100\t200\nchr3\t100\t200\n")
    (tmp_path / "targets.tsv").write_text(TARGETS)
    (tmp_path / "broken.h5").write_text("scores\n")
    rows = place(3, 100)
    sequences = one_hot(np.arange(300).reshape(3, 100) % 4)
    write_scores(tmp_path / "scores.h5", rows, sequences, sequences * 0.1, target="GATA1")
    return tmp_path


@pytest.mark.parametrize(("text", "message"), CONFIGS.values(), ids=CONFIGS)
def test_a_wrong_config(text, message):
    Path("config.yaml").write_text(text)
    with pytest.raises(SeqliftError) as raised:
        check_text(Path("config.yaml"))
        resolve_config(yaml.safe_load(text), SCHEMA)
    assert str(raised.value) == message


@pytest.mark.parametrize(("files", "command", "message"), COMMANDS.values(), ids=COMMANDS)
def test_a_wrong_file_or_flag(files, command, message, capsys):
    for name, text in files.items():
        Path(name).write_text(text)
    assert main(command.split()) == 1
    assert capsys.readouterr().err == f"seqlift {command.split()[0]}: error: {message}\n"


class RunningMaximum(nn.Module):
    """A model with an operation for which there is no rule."""

    def forward(self, x):
        return x.cumsum(-1).cummax(-1).values.sum((1, 2))[:, None]


MODELS = {
    "operation without a rule": (
        RunningMaximum(),
        {},
        "cannot explain `torch.Tensor.cummax` in the model's own forward (RunningMaximum): it has no DeepLIFT rule. "
        "Write the model with operations that have a DeepLIFT rule, or use interior gradients, which need only "
        "gradients",
    ),
    "no such output": (
        nn.Sequential(nn.Flatten(), nn.Linear(80, 2)),
        {"target": 2},
        "`target` (=2) must be less than the 2 outputs of the model",
    ),
    "no such rule": (
        nn.Sequential(nn.Flatten(), nn.Linear(80, 2)),
        {"target": 0, "rule": "rescaled"},
        "`rule` (='rescaled') must be one of rescale, reveal-cancel, genomics",
    ),
}


@pytest.mark.parametrize(("model", "settings", "message"), MODELS.values(), ids=MODELS)
def test_a_wrong_call(model, settings, message):
    sequence = torch.eye(4)[torch.arange(20) % 4].T[None]
    with pytest.raises(SeqliftError) as raised:
        deeplift(model, sequence, **settings)
    assert str(raised.value) == message
