"""FASTA files as people have them; every read compared with a naive one."""

import gzip
import multiprocessing
import os
import pickle
import struct
import zlib

import numpy as np
import pytest

from seqlift.data import genome as genome_module
from seqlift.data.genome import Genome, codes, encode
from seqlift.errors import SeqliftError

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
        (b">a x\nACGT\n>b\nA\n>a y\nACGT\n", r"g\.fa:5: chromosome 'a' is there a second time \(first in line 1\)"),
        (b">a\nACGT\nMKVLE\n", r"g\.fa:3: letter 'L' in a sequence: this is protein"),
        (b">a\nACGU\n", r"g\.fa:2: letter 'U' in a sequence: this is RNA; write T for U"),
        (b">a\nAC-GT\n", r"g\.fa:2: '-' in a sequence; only A, C, G, T, N"),
        (b">\nACGT\n", r"g\.fa:1: header line without a name"),
        (b"> a\nACGT\n", r"g\.fa:1: header line without a name"),
        (b">a\nACGT\nAC\nACGT\n", r"g\.fa:4: lines of 'a' differ in length"),
        (b">a\nACG\nACGTACGT\n", r"g\.fa:3: lines of 'a' differ in length"),
        (b">a\nACGT\n>caf\xe9\nACGT\n", r"g\.fa:3: header '>caf.*' is not UTF-8 text"),
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


@pytest.mark.parametrize("lines", [1, 12, 40, 10_000])
def test_how_many_lines_are_checked_at_once_changes_nothing(tmp_path, monkeypatch, lines):
    monkeypatch.setattr(genome_module, "_LINES", lines)
    good = b">a\n" + b"ACGT\n" * 6
    for number, (content, message) in enumerate(
        [
            (good + b"ACGT\n" * 6 + b"AC\n" + good.replace(b"a", b"b"), None),
            (good + b"ACUT\n" + b"ACGT\n" * 6, ":8: letter 'U'"),
            (good + b"ACG\n" + b"ACGT\n" * 6, ":9: lines of 'a' differ"),
            (good + b"ACGTA", ":8: lines of 'a' differ"),  # as long as the others with their ends
            (good + b"ACG\r\n" + b"ACGT\n", ":9: lines of 'a' differ"),
            (good + b"ACGT\n" * 6 + good, ":14: chromosome 'a' is there a second time"),
        ]
    ):
        path = tmp_path / f"{number}.fa"
        path.write_bytes(content)
        if message:
            with pytest.raises(SeqliftError, match=message):
                Genome(path, cache_dir=tmp_path / "cache")
        else:
            assert Genome(path, cache_dir=tmp_path / "cache").sizes == {"a": 50, "b": 24}


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


def test_all_chromosomes_lie_in_one_mapped_array(tmp_path, monkeypatch):
    monkeypatch.setattr(genome_module, "_CHUNK", 7)  # shorter than lines and chromosomes, and no divisor of them
    path = tmp_path / "genome.fa"
    path.write_text(fasta_text(CHROMOSOMES))
    with Genome(path, cache_dir=tmp_path / "cache") as genome:
        assert "".join("ACGTN"[code] for code in genome.encoded) == "".join(map(naive, CHROMOSOMES.values()))
        assert not genome.encoded.flags.writeable
        for name, bases in CHROMOSOMES.items():
            assert np.shares_memory(genome.codes(name), genome.encoded)
            assert genome.codes(name).tolist() == genome.encoded[genome.offsets[name] :][: len(bases)].tolist()


def test_a_pickled_genome_maps_the_same_file(tmp_path):
    path = tmp_path / "genome.fa"
    path.write_text(">a\n" + "ACGTN" * 10_000 + "\n>b\nTTG\n")
    genome = Genome(path, cache_dir=tmp_path / "cache")
    copy = pickle.loads(pickled := pickle.dumps(genome))
    assert len(pickled) < 2000
    assert np.array_equal(copy.encoded, genome.encoded) and copy.fetch("b", 0, 3) == "TTG"


@pytest.fixture
def read(monkeypatch):
    """The files whose checksum was taken; files are believed to be settled as soon as they are written."""
    files = []

    def sha256_of(path):
        files.append(path)
        return original(path)

    original = genome_module.sha256_of
    monkeypatch.setattr(genome_module, "sha256_of", sha256_of)
    monkeypatch.setattr(genome_module, "_SETTLED", -1.0)
    return files


def test_the_checksum_is_taken_again_only_when_the_file_changed(tmp_path, read):
    path = tmp_path / "genome.fa"
    path.write_text(">a\nACGT\n")

    def checksum():
        with Genome(path, cache_dir=tmp_path / "cache") as genome:
            return genome.sha256

    first = checksum()
    assert checksum() == first and len(read) == 1
    date = path.stat().st_mtime_ns
    path.write_text(">a\nACGA\n")  # same size; its date is set back, but that itself leaves a trace
    os.utime(path, ns=(date, date))
    assert checksum() != first and len(read) == 2
    os.utime(path, ns=(date + 10**9, date + 10**9))
    checksum()
    assert len(read) == 3
    (tmp_path / "other.fa").write_text(">a\nACGT\n")
    (tmp_path / "other.fa").replace(path)
    assert checksum() == first and len(read) == 4
    for note in (tmp_path / "cache").rglob("checksums/*"):
        note.write_text("{")  # cut short
    assert checksum() == first and len(read) == 5


def test_the_checksum_of_a_file_just_written_is_not_kept(tmp_path, read, monkeypatch):
    monkeypatch.setattr(genome_module, "_SETTLED", 2.0)
    path = tmp_path / "genome.fa"
    path.write_text(">a\nACGT\n")
    for _ in range(2):  # within one tick of the file system's clock it could change once more
        Genome(path, cache_dir=tmp_path / "cache").close()
    assert len(read) == 2


@pytest.mark.parametrize("name", ["genome.codes", "genome.fa.fai"])
@pytest.mark.parametrize("damage", ["cut", "empty", "absent"])
def test_a_damaged_encoding_is_made_anew(tmp_path, name, damage):
    path = tmp_path / "genome.fa"
    path.write_text(fasta_text(CHROMOSOMES))
    Genome(path, cache_dir=tmp_path / "cache").close()
    (file,) = (tmp_path / "cache").rglob(name)
    content = file.read_bytes()
    file.unlink() if damage == "absent" else file.write_bytes(content[: {"cut": -12, "empty": 0}[damage]])
    with Genome(path, cache_dir=tmp_path / "cache") as genome:
        assert {chrom: genome.fetch(chrom, 0, size) for chrom, size in genome.sizes.items()} == {
            chrom: naive(bases) for chrom, bases in CHROMOSOMES.items()
        }
    assert file.read_bytes() == content


def _open_and_read(path, cache, barrier, answers):
    barrier.wait()
    with Genome(path, cache_dir=cache) as genome:
        answers.put((genome.sizes, genome.codes("b").tolist()))


def test_processes_that_start_at_once_all_find_the_genome(tmp_path):
    path = tmp_path / "genome.fa.gz"
    path.write_bytes(gzip.compress((">a\n" + ("ACGTN" * 20 + "\n") * 5000 + ">b\nTTG\n").encode()))
    context = multiprocessing.get_context("fork")
    barrier, answers = context.Barrier(4), context.Queue()
    arguments = (path, tmp_path / "cache", barrier, answers)
    processes = [context.Process(target=_open_and_read, args=arguments) for _ in range(4)]
    for process in processes:
        process.start()
    found = [answers.get(timeout=60) for _ in processes]
    for process in processes:
        process.join()
    assert found == [({"a": 500_000, "b": 3}, [3, 3, 2])] * 4
    kept = [file.name for file in (tmp_path / "cache" / "genomes").glob("*/*") if file.parent.name != "checksums"]
    assert sorted(kept) == ["genome.codes", "genome.fa.fai"]


def test_a_full_disk_is_one_clear_error_and_leaves_nothing(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    path = tmp_path / "genome.fa"
    path.write_text(fasta_text(CHROMOSOMES))
    monkeypatch.setattr(genome_module, "_write_codes", full)
    with pytest.raises(SeqliftError, match=r"cannot be encoded to .*No space left on device; .* set XDG_CACHE_HOME"):
        Genome(path, cache_dir=tmp_path / "cache")
    assert not [file for file in (tmp_path / "cache").rglob("*") if file.is_file()]


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "genome.fa"
    path.write_text(">a\nACGT\n")
    original = genome_module._write_codes

    def slow(*arguments, **settings):
        original(*arguments, **settings)
        with open(path, "a") as file:
            file.write("ACGT\n")

    monkeypatch.setattr(genome_module, "_write_codes", slow)
    with pytest.raises(SeqliftError, match="changed while it was read; start again when it is complete"):
        Genome(path, cache_dir=tmp_path / "cache")
    assert not list((tmp_path / "cache").rglob("genome.codes"))


def test_one_hot_holds_one_base_and_none_at_n():
    sequence = "ACGTNacgtnX"
    encoded = encode(codes(sequence))
    assert encoded.tolist() == [[float(base.upper() == row) for base in sequence] for row in "ACGT"]
    assert encoded.dtype == np.float32
    batch = np.stack([codes("ACGTN"), codes("TTNAC")])
    assert np.array_equal(encode(batch), np.stack([encode(row) for row in batch]))


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


def test_blank_lines_and_a_byte_order_mark_are_passed_over(tmp_path):
    plain, dirty = tmp_path / "plain.fa", tmp_path / "dirty.fa"
    plain.write_bytes(b">a\nACGT\nAC\n>b\nGGTT\n")
    dirty.write_bytes(b"\xef\xbb\xbf>a\n\nACGT\n\nAC\n\n\n>b\n \nGGTT\n\n\n")
    with Genome(plain, cache_dir=tmp_path / "x") as genome, Genome(dirty, cache_dir=tmp_path / "x") as same:
        assert genome.sizes == same.sizes == {"a": 6, "b": 4}
        assert same.fetch("a", 0, 6) == "ACGTAC" and same.fetch("b", 0, 4) == "GGTT"


def test_a_header_that_is_not_utf_8_is_named(tmp_path):
    (tmp_path / "g.fa").write_bytes(b">a\nACGT\n>caf\xe9\nACGT\n")
    with pytest.raises(SeqliftError, match=r"g\.fa:3: header .* is not UTF-8 text"):
        Genome(tmp_path / "g.fa", cache_dir=tmp_path / "x")
