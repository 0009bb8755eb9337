"""Kinds of references: what each holds, that it depends on sequence, seed and number alone, and what is refused."""

import re
from collections import Counter

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import chisquare

from seqlift import deeplift
from seqlift.attribution.reference_kinds import PATTERN
from seqlift.attribution.references import (
    KINDS,
    background,
    base_codes,
    from_fasta,
    genomic_windows,
    klet_shuffles,
    read_references,
    reference_kind,
    uniform,
    zeros,
)
from seqlift.data.genome import Genome, encode
from seqlift.data.shuffle import klet_shuffle
from seqlift.errors import SeqliftError

LENGTH = 50


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A genome of two chromosomes whose GC content wanders, with N; and a FASTA file of eight references."""
    folder = tmp_path_factory.mktemp("references")
    rng = np.random.default_rng(5)
    with open(folder / "g.fa", "w") as file:
        for name in ("c1", "c2"):
            gc = 0.45 + 0.2 * np.sin(np.arange(20_000) / 700 + rng.random() * 6)
            is_gc = rng.random(20_000) < gc
            bases = np.where(is_gc, rng.choice(list("GC"), 20_000), rng.choice(list("AT"), 20_000))
            bases[5000:5100] = "N"
            file.write(f">{name}\n{''.join(bases)}\n")
    with open(folder / "references.fa", "w") as file:
        for i in range(8):
            record = "".join(rng.choice(list("ACGTacgtN"), LENGTH))
            file.write(f">r{i}\n{record[:30]}\n{record[30:]}\n")
    return folder


@pytest.fixture(scope="module")
def genome(folder):
    with Genome(folder / "g.fa", cache_dir=folder / "cache") as opened:
        yield opened


PEAKS = pd.DataFrame({"chrom": ["c1", "c1", "c2"], "start": [0, 8000, 9000], "end": [4000, 12_000, 20_000]})


def sequences(n=6, dtype=torch.float32):
    """One-hot (n, 4, LENGTH), the second with N."""
    codes = np.random.default_rng(1).choice(4, (n, LENGTH), p=[0.3, 0.2, 0.2, 0.3]).astype(np.uint8)
    codes[1, [0, 10, 11, 12, 30]] = 4
    return torch.from_numpy(encode(codes)).to(dtype)


TEXTS = [*KINDS, "klet:1", "klet:3", "background:0.3,0.2,0.2,0.3", "genomic", "genomic:0.1", "fasta:references.fa"]


@pytest.fixture
def kind(request, folder, genome):
    text = request.param
    if text.startswith("fasta:"):
        text = f"fasta:{folder / text[6:]}"
    return reference_kind(text, genome=genome, exclude=PEAKS)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("kind", TEXTS, indirect=True)
def test_every_kind_fits_the_sequences(kind, dtype):
    x = sequences(dtype=dtype)
    drawn = kind(x, 4, 0)
    assert drawn.shape == (6, 4, 4, LENGTH) and drawn.dtype == dtype and drawn.device == x.device
    missing = (x == 0).all(1)
    assert missing.sum() == 5
    assert not drawn.transpose(0, 1)[:, missing[:, None].expand_as(x)].any()  # N stays where it is
    assert ((drawn.sum(2) - 1).abs() < 0.01).logical_or((drawn == 0).all(2)).all()


@pytest.mark.parametrize("kind", TEXTS, indirect=True)
def test_reference_k_depends_on_sequence_seed_and_k_alone(kind):
    x = sequences()
    whole = kind(x, 6, 3)
    order = [4, 2, 0, 1, 5, 3]
    assert torch.equal(kind(x[order], 6, 3), whole[order])
    assert torch.equal(kind(x[2:3], 2, 3), whole[2:3, :2])
    assert torch.equal(kind(x, 2, 3, start=4), whole[:, 4:])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("kind", TEXTS, indirect=True)
def test_on_a_gpu_every_kind_is_the_same(kind):
    x = sequences()
    drawn = kind(x.cuda(), 4, 0)
    assert drawn.is_cuda and torch.equal(drawn.cpu(), kind(x, 4, 0))


@pytest.mark.parametrize("kind", ["dinucleotide", "mononucleotide", "klet:3", "genomic"], indirect=True)
def test_random_kinds_differ_by_seed_sequence_and_number(kind):
    x = sequences()
    whole = kind(x, 3, 0)
    for row in whole:
        assert len({reference.numpy().tobytes() for reference in row}) == 3
    assert (whole[0] != whole[2]).any() and (kind(x, 3, 1) != whole).flatten(1).any(1).all()


@pytest.mark.parametrize("k", [1, 2, 4])
def test_shuffles_are_those_of_the_codes(k):
    x = sequences()
    drawn = klet_shuffles(k)(x, 3, 7)
    shuffled = klet_shuffle(base_codes(x), 3, k=k, seed=7)
    assert torch.equal(drawn, torch.from_numpy(encode(shuffled.reshape(-1, LENGTH))).view(drawn.shape))


def test_backgrounds():
    x = sequences()
    assert torch.equal(uniform(x, 2, 0)[1, 1, :, 8], torch.full((4,), 0.25))
    drawn = background((0.31, 0.19, 0.19, 0.315))(x.double(), 3, 0)  # rounded: sums to 1.005
    expected = torch.tensor([0.31, 0.19, 0.19, 0.315], dtype=torch.float64) / 1.005
    torch.testing.assert_close(drawn[3, 2], expected[:, None].expand(4, LENGTH))
    assert not zeros(x, 2, 0).any()


# --- windows of the genome --------------------------------------------------------------------------------------------


def text_of(reference):
    """The bases of a reference (4, L)."""
    return "".join("ACGTN"[code] for code in base_codes(reference[None])[0])


def gc_of(text):
    return (text.count("G") + text.count("C")) / (len(text) - text.count("N"))


def test_genomic_windows_keep_every_rule(genome):
    x = sequences()
    whole_genome = {chrom: genome.fetch(chrom, 0, 20_000) for chrom in genome.sizes}
    drawn = genomic_windows(genome, PEAKS, tolerance=0.04, min_distance=100)(x, 20, 0)
    for row, found in zip(x, drawn, strict=True):
        if (row == 0).all(0).any():
            continue
        starts = set()
        for reference in map(text_of, found):
            assert "N" not in reference
            assert abs(gc_of(reference) - gc_of(text_of(row))) <= 0.04 + 1e-9
            (place,) = [(chrom, bases.find(reference)) for chrom, bases in whole_genome.items() if reference in bases]
            starts.add(place)
            chrom, start = place
            for peak in PEAKS[PEAKS["chrom"] == chrom].itertuples():
                assert start >= peak.end + 100 or start + LENGTH + 100 <= peak.start
        assert len(starts) == 20  # none twice


def test_genomic_windows_are_matched_without_the_n_of_the_sequence(genome):
    """The window is matched to the 45 bases that are known; what it holds at the 5 N is left out."""
    x = sequences()[1:2]
    drawn = genomic_windows(genome, tolerance=0.02)(x, 5, 0)
    whole = "".join(genome.fetch(chrom, 0, 20_000) for chrom in genome.sizes)
    wanted = gc_of(text_of(x[0]))
    for reference in map(text_of, drawn[0]):
        assert [i for i, base in enumerate(reference) if base == "N"] == [0, 10, 11, 12, 30]
        stretch = reference[13:30]
        at = whole.find(stretch) - 13
        assert whole.count(stretch) == 1 and abs(gc_of(whole[at : at + LENGTH]) - wanted) <= 0.02 + 1e-9


def test_all_windows_of_like_gc_content_are_drawn_equally_often(genome):
    draw, x = genomic_windows(genome, PEAKS, tolerance=0.0), sequences()[:1]
    seen = Counter(text_of(reference) for seed in range(400) for reference in draw(x, 2, seed)[0])
    everything = "".join(seen)
    assert 5 < len(seen) < 100 and len(set(map(gc_of, seen))) == 1 and "N" not in everything
    # The two of a seed differ, which makes the counts more even than independent draws: the test is on the safe side.
    assert chisquare(list(seen.values())).pvalue > 1e-4


def test_a_sequence_of_n_takes_any_window(genome):
    assert not genomic_windows(genome, PEAKS)(torch.zeros(1, 4, LENGTH), 3, 0).any()


def test_too_few_windows_are_an_error(genome):
    rich = torch.zeros(1, 4, LENGTH)
    rich[:, 2] = 1
    with pytest.raises(SeqliftError, match=r"has 0 windows of 50 bp .* within 0.02 of that of sequence 0 \(1.000\)"):
        genomic_windows(genome, PEAKS)(rich, 20, 0)
    draw = genomic_windows(genome, PEAKS, tolerance=0.0)
    with pytest.raises(SeqliftError, match="1000 references"):
        draw(sequences(), 1000, 0)


@pytest.mark.parametrize(
    ("exclude", "settings", "words"),
    [
        (PEAKS.drop(columns="end"), {}, "no column 'end'"),
        (PEAKS.assign(chrom="chr1"), {}, r"none of the chromosomes of `exclude` \(first: 'chr1'\)"),
        (None, {"tolerance": -0.1}, r"`tolerance` \(=-0.1\)"),
        (None, {"tolerance": float("nan")}, r"`tolerance` \(=nan\)"),
        (None, {"min_distance": -1}, r"`min_distance` \(=-1\)"),
        (None, {"max_n_fraction": 2}, r"`max_n_fraction` \(=2\)"),
    ],
)
def test_wrong_settings_of_genomic_windows_are_named(genome, exclude, settings, words):
    with pytest.raises(SeqliftError, match=words):
        genomic_windows(genome, exclude, **settings)


# --- FASTA files ------------------------------------------------------------------------------------------------------


def test_a_fasta_file_gives_its_records_in_order(folder):
    lines = (folder / "references.fa").read_text().upper().splitlines()
    records = [first + second for first, second in zip(lines[1::3], lines[2::3], strict=True)]
    read = read_references(folder / "references.fa")
    assert read.shape == (8, 4, LENGTH) and [text_of(each) for each in read] == records
    x = sequences()
    assert torch.equal(from_fasta(folder / "references.fa")(x, 8, 5)[3], read)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "holds no sequence"),
        ("ACGT\n", r"bad.fa:1: a FASTA file starts with a header"),
        (">a\nACGT\n\n>b\nACGRT\n", r"bad.fa:5: letter 'R'"),
        (">a\nACGT\n>b\nACG\nTA\n", r"bad.fa:3: the sequence has 5 bp, the first of the file 4 bp"),
        (">a\nACGT\n>b\n>c\nACGT\n", r"bad.fa:3: a header without a sequence"),
        (">a\n>b\nACGT\n", r"bad.fa:1: a header without a sequence"),
    ],
)
def test_a_broken_fasta_file_is_named_with_its_line(tmp_path, content, words):
    (tmp_path / "bad.fa").write_text(content)
    with pytest.raises(SeqliftError, match=words):
        from_fasta(tmp_path / "bad.fa")


def test_a_fasta_file_that_does_not_fit_the_sequences(folder, tmp_path):
    draw = from_fasta(folder / "references.fa")
    with pytest.raises(SeqliftError, match="its sequences have 50 bp, those to explain 49 bp"):
        draw(sequences()[..., :49], 3, 0)
    with pytest.raises(SeqliftError, match="holds 8 sequences, fewer than the 9 "):
        draw(sequences(), 9, 0)
    with pytest.raises(SeqliftError, match="no such file"):
        from_fasta(tmp_path / "none.fa")


# --- names ------------------------------------------------------------------------------------------------------------


def test_kinds_have_names(genome):
    x = sequences()
    for text, kind in KINDS.items():
        assert reference_kind(text) is kind
    assert torch.equal(reference_kind("klet:2")(x, 3, 0), KINDS["dinucleotide"](x, 3, 0))
    assert torch.equal(reference_kind("klet:1")(x, 3, 0), KINDS["mononucleotide"](x, 3, 0))
    assert torch.equal(reference_kind("background:0.25,0.25,0.25,0.25")(x, 3, 0), uniform(x, 3, 0))
    named = reference_kind("genomic:0.1", genome=genome, exclude=PEAKS)
    assert torch.equal(named(x, 3, 0), genomic_windows(genome, PEAKS, tolerance=0.1)(x, 3, 0))


@pytest.mark.parametrize("text", ["klet", "klet:7", "genomic:", "background:1,2", "fasta:", "uniform:3"])
def test_the_pattern_of_a_config_knows_the_same_names(text):
    assert all(re.match(PATTERN, known) for known in TEXTS) and not re.match(PATTERN, text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("shuffled", "references 'shuffled' do not exist; choose from dinucleotide"),
        ("klet", "do not exist"),
        ("fasta:", "do not exist"),
        ("uniform:3", "do not exist"),
        ("genomic", "need a genome"),
        ("klet:x", "'x' is not a number"),
        ("klet:0", r"`k` \(=0\) .* from 1 to 6"),
        ("klet:7", r"`k` \(=7\) .* from 1 to 6"),
        ("background:0.3,0.2", r"background frequencies \(0.3, 0.2\) must be four numbers"),
        ("background:0.3,0.2,0.2,0.2", "sum to 1"),
        ("background:0.5,0.5,0.5,-0.5", "0 or more"),
        ("background:nan,0.5,0.5,0", "0 or more"),
        ("background:a,c,g,t", "not a number"),
        ("genomic:often", "not a number"),
    ],
)
def test_wrong_names_are_refused(text, words):
    with pytest.raises(SeqliftError, match=words):
        reference_kind(text)


NOT_ONE_HOT = [[0.5, 0.5, 0, 0], [1, 1, 0, 0], [1, 1, -1, 0], [2, 0, 0, 0], [0, float("nan"), 0, 0]]


@pytest.mark.parametrize("column", NOT_ONE_HOT)
@pytest.mark.parametrize("kind", ["dinucleotide", "genomic"], indirect=True)
def test_kinds_made_from_the_sequence_need_one_hot_columns(kind, column):
    x = sequences()
    x[2, :, 7] = torch.tensor(column)
    with pytest.raises(SeqliftError, match="sequence 2, position 7"):
        kind(x, 2, 0)


@pytest.mark.parametrize("kind", TEXTS, indirect=True)
def test_contributions_add_up_against_every_kind(kind):
    torch.manual_seed(0)
    layers = [torch.nn.Conv1d(4, 6, 5), torch.nn.ReLU(), torch.nn.MaxPool1d(3), torch.nn.Flatten()]
    model = torch.nn.Sequential(*layers, torch.nn.Linear(6 * 15, 1)).double()
    result = deeplift(model, sequences(dtype=torch.float64), kind, n_references=4)
    change = result.prediction - result.reference_prediction.mean(1)
    torch.testing.assert_close(result.contributions.sum((1, 2)), change, rtol=1e-9, atol=1e-12)
