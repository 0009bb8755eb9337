"""FASTA files as people have them; every read held against a naive one."""

import gzip
import os
import struct
import zlib

import numpy as np
import pytest

from seqlift.errors import SeqliftError
from seqlift.genome import Genome, codes, one_hot, one_hot_batch

CHROMOSOMES = {"chrI": "ACGTNacgtnRYKM" * 13, "chr_2": "GATTACA", "chrEmptyish": "N" * 25}


def fasta_text(chromosomes, width=10, end="\n"):
    parts = []
    for name, bases in chromosomes.items():
        lines = [bases[start : start + width] for start in range(0, len(bases), width)]
        parts.append(end.join([f">{name} some words", *lines]) + end)
    return "".join(parts)


def bgzip(data, block=50):
    """bgzip by its specification: gzip members with the size of the block in an extra field, and an empty last one."""
    packed = b""
    for piece in [*(data[i : i + block] for i in range(0, len(data), block)), b""]:
        deflate = zlib.compressobj(6, zlib.DEFLATED, -15)
        body = deflate.compress(piece) + deflate.flush()
        extra = struct.pack("<BBHH", 66, 67, 2, len(body) + 25)
        header = struct.pack("<BBBBIBBH", 31, 139, 8, 4, 0, 0, 255, len(extra))
        packed += header + extra + body + struct.pack("<II", zlib.crc32(piece), len(piece))
    return packed


def naive(bases):
    return "".join(base if base in "ACGT" else "N" for base in bases.upper())


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("packing", ["plain", "gzip", "bgzip"])
def test_every_packing_gives_the_same_bases(tmp_path, packing, end):
    data = fasta_text(CHROMOSOMES, end=end).encode()
    pack = {"plain": lambda d: d, "gzip": gzip.compress, "bgzip": bgzip}[packing]
    path = tmp_path / ("genome.fa" if packing == "plain" else "genome.fa.gz")
    path.write_bytes(pack(data))
    with Genome(path, cache_dir=tmp_path / "cache") as genome:
        assert genome.sizes == {name: len(bases) for name, bases in CHROMOSOMES.items()}
        assert list(genome.sizes) == list(CHROMOSOMES)
        for name, bases in CHROMOSOMES.items():
            expected = naive(bases)
            assert genome.fetch(name, 0, len(bases)) == expected
            for start, stop in [(0, 1), (3, 5), (len(bases) - 1, len(bases))]:
                assert genome.fetch(name, start, stop) == expected[start:stop]
            assert genome.codes(name).tolist() == ["ACGTN".index(base) for base in expected]
            assert genome.codes(name).dtype == np.uint8
        for start in range(0, 60):
            assert genome.fetch("chrI", start, start + 17) == naive(CHROMOSOMES["chrI"])[start : start + 17]


def test_a_read_only_folder_of_data_stays_as_it_was(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "genome.fa").write_text(fasta_text(CHROMOSOMES))
    (folder / "genome.fa.gz").write_bytes(gzip.compress(fasta_text(CHROMOSOMES).encode()))
    folder.chmod(0o555)
    try:
        for name in ("genome.fa", "genome.fa.gz"):
            with Genome(folder / name, cache_dir=tmp_path / "cache") as genome:
                assert genome.fetch("chr_2", 0, 7) == "GATTACA"
        assert sorted(os.listdir(folder)) == ["genome.fa", "genome.fa.gz"]
    finally:
        folder.chmod(0o755)


def test_a_changed_file_is_indexed_anew_even_with_the_old_date_and_size(tmp_path):
    path = tmp_path / "genome.fa"
    path.write_text(">a\nACGT\n>b\nTT\n")
    date = path.stat().st_mtime_ns
    with Genome(path, cache_dir=tmp_path / "cache") as genome:
        assert genome.sizes == {"a": 4, "b": 2}
    path.write_text(">a\nAC\n>b\nTTGG\n")
    os.utime(path, ns=(date, date))
    with Genome(path, cache_dir=tmp_path / "cache") as genome:
        assert genome.sizes == {"a": 2, "b": 4}
        assert genome.fetch("b", 0, 4) == "TTGG"


def test_a_newer_date_on_the_same_content_needs_no_new_encoding(tmp_path):
    path = tmp_path / "genome.fa"
    path.write_text(">a\nACGT\n")
    Genome(path, cache_dir=tmp_path / "cache").close()
    (encoding,) = (tmp_path / "cache").rglob("genome.codes")
    before = encoding.stat().st_mtime_ns
    os.utime(path, ns=(before + 10**12, before + 10**12))
    with Genome(path, cache_dir=tmp_path / "cache") as genome:
        assert genome.fetch("a", 0, 4) == "ACGT"
    assert encoding.stat().st_mtime_ns == before


def test_an_index_lying_beside_the_file_is_not_believed(tmp_path):
    path = tmp_path / "genome.fa"
    path.write_text(">a\nACGT\n")
    (tmp_path / "genome.fa.fai").write_text("wrong\t400\t3\t4\t5\n")
    with Genome(path, cache_dir=tmp_path / "cache") as genome:
        assert genome.sizes == {"a": 4}


def test_the_default_cache_is_in_the_users_cache_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    path = tmp_path / "genome.fa"
    path.write_text(">a\nACGT\n")
    with Genome(path) as genome:
        assert (tmp_path / "xdg" / "seqlift" / "genomes" / genome.sha256 / "genome.codes").exists()


def test_without_a_home_that_can_be_written_the_temporary_folder_serves(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    path = tmp_path / "genome.fa"
    path.write_text(">a\nACGT\n")
    with Genome(path) as genome:
        assert genome.fetch("a", 1, 3) == "CG"
    assert list((tmp_path / "tmp").rglob("genome.codes"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"g\.fa: empty"),
        (b"\n\n", r"g\.fa: empty"),
        (b"chr1\t1\t2\n", r"g\.fa:1: not a FASTA file: must start with a header line '>name', found 'chr1\\t1\\t2'"),
        (b">a\nACGT\n>b\n", r"g\.fa:3: chromosome 'b' has no bases"),
        (b">a\n>b\nACGT\n", r"g\.fa:1: chromosome 'a' has no bases"),
        (b">a x\nACGT\n>b\nA\n>a y\nACGT\n", r"g\.fa:5: chromosome 'a' stands there a second time \(first in line 1\)"),
        (b">a\nACGT\nMKVLE\n", r"g\.fa:3: letter 'L' in a sequence: this is protein"),
        (b">a\nACGU\n", r"g\.fa:2: letter 'U' in a sequence: this is RNA; write T for U"),
        (b">a\nAC-GT\n", r"g\.fa:2: '-' in a sequence; only A, C, G, T, N"),
        (b">\nACGT\n", r"g\.fa:1: header line without a name"),
        (b"> a\nACGT\n", r"g\.fa:1: header line without a name"),
        (b"PK\x03\x04rest", r"g\.fa: is a zip file, not FASTA"),
        (b"\x43\x27\x41\x1a\x00", r"g\.fa: is a 2bit file"),
    ],
)
def test_what_is_no_fasta_of_dna_is_refused_and_leaves_nothing(tmp_path, content, message):
    path = tmp_path / "g.fa"
    for data, name in ((content, "g.fa"), (gzip.compress(content), "g.fa.gz")):
        path = tmp_path / name
        path.write_bytes(data)
        with pytest.raises(SeqliftError, match=message.replace(r"g\.fa", name)):
            Genome(path, cache_dir=tmp_path / "cache")
    assert not [file for file in (tmp_path / "cache").rglob("*") if file.is_file()]


def test_missing_damaged_and_misnamed_files_are_refused(tmp_path):
    with pytest.raises(SeqliftError, match="no such FASTA file"):
        Genome(tmp_path / "absent.fa", cache_dir=tmp_path)
    with pytest.raises(SeqliftError, match="cannot be read: Is a directory"):
        Genome(tmp_path, cache_dir=tmp_path)
    packed = gzip.compress(fasta_text({"a": "ACGTTGCA" * 500}).encode())
    (tmp_path / "cut.fa.gz").write_bytes(packed[:-20])
    with pytest.raises(SeqliftError, match="damaged gzip file"):
        Genome(tmp_path / "cut.fa.gz", cache_dir=tmp_path / "cache")
    assert not list((tmp_path / "cache").rglob("genome.*"))
    (tmp_path / "plain.fa.gz").write_text(">a\nACGT\n")
    with pytest.raises(SeqliftError, match="its name says gzip but its content is not"):
        Genome(tmp_path / "plain.fa.gz", cache_dir=tmp_path / "cache")


def test_intervals_off_the_chromosome_are_refused(tmp_path):
    path = tmp_path / "genome.fa"
    path.write_text(">a\nACGT\n")
    with Genome(path, cache_dir=tmp_path / "cache") as genome:
        for start, end in [(-1, 2), (0, 5), (2, 2), (3, 1)]:
            with pytest.raises(SeqliftError, match=r"does not lie inside a \(0-4\)"):
                genome.fetch("a", start, end)
        with pytest.raises(SeqliftError, match="has no chromosome 'b'; it has a"):
            genome.fetch("b", 0, 1)
        with pytest.raises(ValueError, match="read-only"):
            genome.codes("a")[0] = 1


def test_one_hot_holds_one_base_and_none_at_n():
    sequence = "ACGTNacgtnX"
    naive_encoding = [[float(base.upper() == row) for base in sequence] for row in "ACGT"]
    assert one_hot(sequence).tolist() == naive_encoding
    assert one_hot(codes(sequence)).tolist() == naive_encoding
    assert one_hot(sequence).dtype == np.float32
    batch = np.stack([codes("ACGTN"), codes("TTNAC")])
    assert np.array_equal(one_hot_batch(batch), np.stack([one_hot("ACGTN"), one_hot("TTNAC")]))


def test_the_yeast_genome(yeast, tmp_path):
    path = yeast / "sacCer3.fa.gz"
    with Genome(path, cache_dir=tmp_path / "cache") as genome:
        assert sum(genome.sizes.values()) == 12_071_326
        assert list(genome.sizes)[:4] == ["chrI", "chrII", "chrIII", "chrIV"]
        with gzip.open(path, "rt") as file:
            text = "".join(line.strip() for line in file.read().split(">chrIV\n")[1].split(">")[0].splitlines())
        rng = np.random.default_rng(1)
        for start in rng.integers(0, len(text) - 300, 50):
            assert genome.fetch("chrIV", start, start + 300) == text[start : start + 300].upper()
        assert "".join("ACGTN"[code] for code in genome.codes("chrIV")[:1000]) == text[:1000].upper()
