"""A session of IGV refers to what is there, by relative paths, whatever the files are called."""

import gzip
import json
import struct
import xml.etree.ElementTree as ElementTree

import numpy as np
import pyBigWig
import pytest

from fixtures.motif import one_hot, place, write_scores
from seqlift.cli import main
from seqlift.data.genome import Genome
from seqlift.tracks.appearance import appearances, first_locus
from seqlift.tracks.two_bit import write_two_bit
from seqlift.tracks.writing import write_track

SIZE = 5000


@pytest.fixture
def run(tmp_path):
    """A folder of tracks of one target by two methods, a genome and peaks, in folders that others move together."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, (20, 50))
    hypothetical = rng.normal(0, 0.1, (20, 4, 50))
    hypothetical[7, :, 25] = 9
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "genome.fa").write_text(f">chr1\n{'A' * SIZE}\n>chr2\n{'C' * 100}\n")
    (tmp_path / "data" / 'peaks <of> "a" & b.narrowPeak').write_text("chr1\t3\t9\tx\t0\t.\t1\t1\t1\t2\n")
    sizes = {"chr1": SIZE, "chr2": 100}
    tracks = tmp_path / "results" / "tracks"
    for method in ("interior_gradients", "deeplift"):
        scores = tmp_path / f"{method}.h5"
        write_scores(scores, place(20, 50, gap=60), one_hot(codes), hypothetical, target="T", method=method)
        write_track(scores, tracks / f"T.{method}.bw", chromosome_sizes=sizes)
    difference = {"chromosome_sizes": sizes, "minus": tmp_path / "interior_gradients.h5"}
    write_track(tmp_path / "deeplift.h5", tracks / "T.difference.bw", **difference)
    return tmp_path


def note_of(path, **note):
    """A bigWig of one base with a JSON beside it that says `note`."""
    with pyBigWig.open(str(path), "w") as track:
        track.addHeader([("chr1", SIZE)])
        track.addEntries("chr1", 10, values=[1.0], span=1, step=1)
    path.with_name(path.name + ".json").write_text(json.dumps(note))
    return path


def session(run, *more, output="results/tracks/session.xml"):
    tracks = sorted(str(path) for path in (run / "results" / "tracks").glob("*.bw"))
    genome = run / "data" / "genome.fa"
    flags = ["--genome", str(genome), "--tracks", *tracks, "--output", str(run / output), *more]
    status = main(["tracks", "session", *flags])
    return ElementTree.parse(run / output).getroot() if status == 0 else None


def test_everything_is_found_from_the_session_file(run):
    peaks = run / "data" / 'peaks <of> "a" & b.narrowPeak'
    hits = run / "results" / "motifs" / "deeplift" / "T"
    hits.mkdir(parents=True)
    (hits / "hits.bed.gz").write_bytes(gzip.compress(b"#chrom\n"))
    (run / "data" / "genes.gff3.gz").write_bytes(gzip.compress(b"##gff\n"))
    more = ["--peaks", str(peaks), "--hits", str(hits / "hits.bed.gz"), "--genes", str(run / "data" / "genes.gff3.gz")]
    root = session(run, *more)
    assert root.tag == "Session" and root.get("genome") == "../../data/genome.fa"
    resources = {each.get("path"): each.get("type") for each in root.iter("Resource")}
    assert list(resources) == [
        "T.deeplift.bw",
        "T.interior_gradients.bw",
        "T.difference.bw",
        '../../data/peaks <of> "a" & b.narrowPeak',
        "../motifs/deeplift/T/hits.bed.gz",
        "../../data/genes.gff3.gz",
    ]
    assert list(resources.values()) == ["bw"] * 3 + ["narrowPeak", "bed", "gff3"]
    folder = run / "results" / "tracks"
    assert all((folder / path).resolve().is_file() for path in resources)
    tracks = {each.get("id"): each for each in root.iter("Track")}
    assert set(tracks) - set(resources) == {"Reference sequence"}
    # Both methods and their difference share a scale and have letters, in colours of their own
    shown = [tracks[path] for path in list(resources)[:3]]
    assert [each.get("renderer") for each in shown] == ["DYNSEQ"] * 3
    assert {each.get("autoscaleGroup") for each in shown} == {"1"}
    assert len({each.get("color") for each in shown}) == 3
    assert shown[0].get("name") == "T DeepLIFT" and shown[2].get("name") == "T DeepLIFT − interior gradients"
    assert tracks["../motifs/deeplift/T/hits.bed.gz"].get("name") == "T deeplift hits"
    # It opens around the largest contribution: base 25 of region 7 of those that begin every 110 bp
    assert root.get("locus") == f"chr1:{7 * 110 + 25 - 99}-{7 * 110 + 25 + 100}"


def test_other_values_are_bars_on_scales_that_fit_them(run):
    folder = run / "results" / "tracks"
    paths = [
        note_of(folder / "T.deeplift.standard_error.bw", target="T", method="deeplift", value="standard-error"),
        note_of(folder / "T.predicted.minus.bw", target="T", method="prediction", value="predicted", strand="-"),
        note_of(folder / "T.predicted.bw", target="T", method="prediction", value="predicted", strand="+"),
        note_of(folder / "A.profile.bw", target="A.profile", method="own", value="contribution"),
        note_of(folder / "A.counts.bw", target="A.counts", method="own", value="contribution"),
        note_of(folder / "A.predicted.bw", target="A", method="prediction", value="predicted", strand="."),
        folder / "T.deeplift.bw",
    ]
    (folder / "elsewhere.bw").write_bytes(paths[0].read_bytes())  # no JSON: shown by its name
    shown = appearances([*paths, folder / "elsewhere.bw"])
    assert [(each.name, each.group, each.letters) for each in shown] == [
        ("A predicted signal", "A predicted", False),
        ("A.counts own", "A.counts", True),
        ("A.profile own", "A.profile", True),
        ("T predicted signal, plus strand", "T predicted", False),
        ("T predicted signal, minus strand", "T predicted", False),
        ("T DeepLIFT", "T", True),
        ("T standard error, DeepLIFT", "T", False),
        ("elsewhere", "elsewhere", True),
    ]


def test_of_a_packed_genome_a_2bit_file_is_made(run, capsys):
    genome = run / "data" / "genome.fa"
    (run / "data" / "genome.fa.gz").write_bytes(gzip.compress(genome.read_bytes()))
    root = session(run, "--genome", str(run / "data" / "genome.fa.gz"))
    assert root.get("genome") == "genome.2bit"
    assert "tracks/genome.2bit" in capsys.readouterr().out
    assert read_two_bit(run / "results" / "tracks" / "genome.2bit") == {"chr1": "A" * SIZE, "chr2": "C" * 100}


def read_two_bit(path):
    """All sequences of a 2bit file, read by its description, one base after another."""
    data = path.read_bytes()
    signature, version, count, reserved = struct.unpack_from("<4I", data)
    assert (signature, version, reserved) == (0x1A412743, 0, 0)
    place, sequences = 16, {}
    for _ in range(count):
        size = data[place]
        name, (offset,) = data[place + 1 : place + 1 + size].decode(), struct.unpack_from("<I", data, place + 1 + size)
        place += 5 + size
        bases, blocks = struct.unpack_from("<2I", data, offset)
        numbers = struct.unpack_from(f"<{2 * blocks}I", data, offset + 8)
        masks, again = struct.unpack_from("<2I", data, offset + 8 + 8 * blocks)
        assert (masks, again) == (0, 0)
        packed = offset + 16 + 8 * blocks
        letters = ["TCAG"[data[packed + i // 4] >> (6 - 2 * (i % 4)) & 3] for i in range(bases)]
        for start, length in zip(numbers[:blocks], numbers[blocks:], strict=True):
            letters[start : start + length] = "N" * length
        sequences[name] = "".join(letters)
    return sequences


@pytest.mark.parametrize("at_once", [8, 2**24])
def test_2bit_keeps_every_base_and_every_n(tmp_path, monkeypatch, at_once):
    monkeypatch.setattr("seqlift.tracks.two_bit._BASES", at_once)
    rng = np.random.default_rng(2)
    letters = {name: "".join(rng.choice(list("ACGTNNN"), size)) for name, size in {"a": 1, "b": 37, "c|d": 64}.items()}
    letters |= {"allN": "N" * 17, "none": "ACGTACG", "end": "ACGTNN", "start": "NACGT" * 5}
    (tmp_path / "g.fa").write_text("".join(f">{name}\n{text}\n" for name, text in letters.items()))
    with Genome(tmp_path / "g.fa") as genome:
        write_two_bit(genome, tmp_path / "g.2bit")
    assert read_two_bit(tmp_path / "g.2bit") == letters


def test_what_cannot_be_shown_is_named(run, capsys):
    def message(*more):
        assert session(run, *more) is None
        assert not (run / "results" / "tracks" / "session.xml").exists()
        return capsys.readouterr().err

    assert "none.bed: no such file" in message("--peaks", str(run / "none.bed"))
    assert "none.bw: no such track" in message("--tracks", str(run / "none.bw"))
    strange = run / "data" / "a\x01b.bed"
    strange.write_text("chr1\t1\t2\n")
    assert "XML" in message("--peaks", str(strange))


def test_the_first_place_is_where_the_highest_value_is(tmp_path):
    with pyBigWig.open(str(tmp_path / "x.bw"), "w") as track:
        track.addHeader([("chr1", 40_000_000), ("chr2", 120)])
        track.addEntries("chr1", 39_999_990, values=[1.0, 2.0, 5.0], span=1, step=1)
        track.addEntries("chr2", 3, values=[4.0], span=1, step=1)
    assert first_locus(tmp_path / "x.bw") == "chr1:39999801-40000000"
    with pyBigWig.open(str(tmp_path / "y.bw"), "w") as track:
        track.addHeader([("chr1", 40_000_000), ("chr2", 120)])
        track.addEntries("chr1", 9, values=[-5.0], span=1, step=1)
        track.addEntries("chr2", 3, values=[-4.0], span=1, step=1)
    assert first_locus(tmp_path / "y.bw") == "chr2:1-120"
