"""Scores change their format and nothing else, rows keep their coordinates, and what is wrong is named."""

import io
import tracemalloc
import zipfile

import h5py
import hdf5plugin
import numpy as np
import pandas as pd
import pytest

from fixtures.full_disk import disk_of
from fixtures.motif import one_hot, write_scores
from seqlift.cli import main
from seqlift.convert import Source, convert
from seqlift.convert.rows import BLOCK
from seqlift.data.genome import Genome
from seqlift.errors import SeqliftError
from seqlift.motifs.database import Database
from seqlift.motifs.discovery import discover
from seqlift.scores.file import open_scores
from seqlift.tracks.verifying import verify_track
from seqlift.tracks.writing import write_track

LENGTH = 60
SIZES = {"chrA": 5000, "chrB": 3000}


class Data:
    """A genome of two chromosomes and a score file of windows in it, unsorted, overlapping, some with N."""

    def __init__(self, folder, n=40, length=LENGTH, seed=0):
        rng = np.random.default_rng(seed)
        self.folder, self.length = folder, length
        codes = {chrom: rng.integers(0, 4, size) for chrom, size in SIZES.items()}
        codes["chrA"][700:720] = 4
        self.fasta = folder / "genome.fa"
        self.fasta.write_text("".join(f">{c}\n{''.join('ACGTN'[i] for i in x)}\n" for c, x in codes.items()))
        self.genome = Genome(self.fasta, cache_dir=folder / "cache")
        chrom = rng.choice(list(SIZES), n)
        start = np.array([rng.integers(0, SIZES[name] - length) for name in chrom])
        chrom[0], start[0] = "chrA", 690  # holds the N
        self.coords = pd.DataFrame({"chrom": chrom, "start": start, "end": start + length})
        self.coords["name"] = [f"peak_{i}" for i in range(n)]
        self.coords["strand"] = rng.choice(["+", "-", "."], n)
        self.sequences = one_hot(np.stack([codes[c][s : s + length] for c, s in zip(chrom, start, strict=True)]))
        self.hypothetical = rng.normal(size=(n, 4, length)).astype(np.float32)
        self.scores = write_scores(folder / "ours.h5", self.coords, self.sequences, self.hypothetical)

    def bed(self, name="windows.bed", columns=3):
        """The windows as a BED file; with 10 columns the summit is the middle of a wider interval."""
        path = self.folder / name
        table = self.coords[["chrom", "start", "end", "name"][: max(3, min(columns, 4))]]
        if columns == 10:
            left = np.minimum(7, self.coords["start"])  # peaks as callers write them: the summit is not their middle
            table = self.coords[["chrom"]].assign(
                start=self.coords["start"] - left, end=self.coords["end"] + 1, name=self.coords["name"], score=0,
                strand=self.coords["strand"], signal=1, p=1, q=1, summit=left + self.length // 2,
            )  # fmt: skip
        table.to_csv(path, sep="\t", header=False, index=False)
        return path


@pytest.fixture
def data(tmp_path):
    return Data(tmp_path)


def assert_same(path, data, *, coords=("chrom", "start", "end", "name", "strand"), dtype=np.float32):
    """A score file holds the data bit by bit; scores that were of a smaller type hold that type's values."""
    with open_scores(path) as scores:
        wanted = data.hypothetical.astype(dtype).astype(np.float32)
        pd.testing.assert_frame_equal(
            scores.coords[list(coords)].astype(object), data.coords[list(coords)].astype(object)
        )
        np.testing.assert_array_equal(scores.sequences[:], data.sequences)
        np.testing.assert_array_equal(scores.hypothetical[:], wanted)
        np.testing.assert_array_equal(scores.contributions[:], wanted * data.sequences)
        assert np.isnan(scores.prediction[:]).all() and scores.delta is None  # nobody knows: not made up
        return scores.attributes


def there_and_back(data, to, source):
    """Ours to another format and to ours again."""
    done = convert(Source("seqlift", data.scores), to, data.folder / "out", genome=data.genome)
    assert done.rows == len(data.coords) and all(path.is_file() for path in done.files)
    back = data.folder / "back.h5"
    convert(source(done.files), "seqlift", back, target="factor", method="deeplift", genome=data.genome)
    return back, done.files


SOURCES = {
    "modisco": lambda files: Source("modisco", files[1], sequences=files[0], regions=files[2]),
    "bpnet-lite": lambda files: Source("bpnet-lite", files[1], sequences=files[0], regions=files[2]),
    "chrombpnet": lambda files: Source("chrombpnet", files[0], regions=files[1]),
    "bpreveal": lambda files: Source("bpreveal", files[0], regions=files[1]),
}


@pytest.mark.parametrize("to", SOURCES)
@pytest.mark.parametrize("length", [60, 61])
def test_round_trips_change_no_bit_and_no_coordinate(tmp_path, to, length):
    data = Data(tmp_path, length=length)
    back, files = there_and_back(data, to, SOURCES[to])
    attributes = assert_same(back, data)
    assert attributes["source"].startswith(f"{to}: out")
    with open_scores(data.scores) as one, open_scores(back) as other:
        assert one.hypothetical[:].tobytes() == other.hypothetical[:].tobytes()
    # and from there to theirs again: the same file
    first = [path.read_bytes() for path in files]
    convert(Source("seqlift", back), to, data.folder / "out", genome=data.genome)
    assert [path.read_bytes() for path in files] == first


def test_the_names_of_the_files_written(data):
    names = {to: [path.name for path in there_and_back(data, to, SOURCES[to])[1]] for to in SOURCES}
    assert names["modisco"] == ["out.ohe.npz", "out.shap.npz", "out.regions.bed"]
    assert names["bpnet-lite"] == ["out.ohe.npz", "out.attr.npz", "out.regions.bed"]
    assert names["chrombpnet"] == names["bpreveal"] == ["out", "out.regions.bed"]


def test_what_modisco_loads_is_what_numpy_saves(data):
    done = convert(Source("seqlift", data.scores), "modisco", data.folder / "out")
    with np.load(done.files[0]) as ohe, np.load(done.files[1]) as shap:
        assert ohe.files == shap.files == ["arr_0"]
        np.testing.assert_array_equal(ohe["arr_0"], data.sequences)
        np.testing.assert_array_equal(shap["arr_0"], data.hypothetical)


def chrombpnet_file(data, *, projected=None):
    """As chrombpnet writes it: half precision, packed with Blosc."""
    path = data.folder / "x.counts_scores.h5"
    half = data.hypothetical.astype(np.float16)
    with h5py.File(path, "w") as file:
        file.create_dataset("raw/seq", data=data.sequences, **hdf5plugin.Blosc())
        file.create_dataset("shap/seq", data=half, **hdf5plugin.Blosc())
        product = (data.hypothetical * data.sequences).astype(np.float16) if projected is None else projected
        file.create_dataset("projected_shap/seq", data=product, **hdf5plugin.Blosc())
    return path


def test_a_file_of_chrombpnet_with_its_peaks(data):
    """Its windows lie around the summits of its narrowPeak file, not around the middles of the peaks."""
    source = Source("chrombpnet", chrombpnet_file(data), regions=data.bed(columns=10))
    convert(source, "seqlift", data.folder / "x.h5", target="ATAC", method="deeplift", genome=data.genome)
    attributes = assert_same(data.folder / "x.h5", data, dtype=np.float16)
    assert attributes["target"] == "ATAC" and attributes["source"] == "chrombpnet: x.counts_scores.h5"


def bpreveal_file(data, *, version=5, coordinates=True):
    """As interpretFlat writes it: (N, L, 4), half precision; chromosomes as numbers, before version 4 as names."""
    path = data.folder / f"bpreveal{version}.h5"
    with h5py.File(path, "w") as file:
        text = h5py.string_dtype("utf-8")
        packed = {"compression": "gzip"}
        file.create_dataset("hyp_scores", data=data.hypothetical.transpose(0, 2, 1).astype("f2"), **packed)
        file.create_dataset("input_seqs", data=data.sequences.transpose(0, 2, 1).astype("u1"), **packed)
        if not coordinates:
            file.create_dataset("descriptions", data=data.coords["name"].to_numpy(object), dtype=text)
            return path
        chroms = ["chrB", "chrA"]
        file.create_dataset("chrom_names", data=chroms, dtype=text)
        file.create_dataset("chrom_sizes", data=np.array([SIZES[chrom] for chrom in chroms], "u8"))
        numbers = [chroms.index(chrom) for chrom in data.coords["chrom"]]
        if version < 4:
            file.create_dataset("coords_chrom", data=data.coords["chrom"].to_numpy(object), dtype=text)
        else:
            file.create_dataset("coords_chrom", data=np.array(numbers, "u1"))
        file.create_dataset("coords_start", data=data.coords["start"].to_numpy("u4"))
        file.create_dataset("coords_end", data=data.coords["end"].to_numpy("u4"))
    return path


@pytest.mark.parametrize("version", [3, 5])
def test_a_file_of_bpreveal_holds_its_coordinates(data, version):
    source = Source("bpreveal", bpreveal_file(data, version=version))
    convert(source, "seqlift", data.folder / "x.h5", target="f", method="deeplift", genome=data.genome)
    assert_same(data.folder / "x.h5", data, coords=("chrom", "start", "end"), dtype=np.float16)
    with open_scores(data.folder / "x.h5") as scores:
        one = data.coords.iloc[3]
        assert scores.coords["name"][3] == f"{one['chrom']}:{one['start']}-{one['end']}"


def test_scores_of_a_fasta_file_need_a_bed_file(data):
    path = bpreveal_file(data, coordinates=False)
    with pytest.raises(SeqliftError, match="without coordinates; give them with --regions"):
        convert(Source("bpreveal", path), "seqlift", data.folder / "x.h5", target="f", method="m")
    convert(Source("bpreveal", path, regions=data.bed()), "seqlift", data.folder / "x.h5", target="f", method="m")
    assert_same(data.folder / "x.h5", data, coords=("chrom", "start", "end"), dtype=np.float16)


def bpnet_lite_files(data, kept):
    """As `bpnet attribute` writes them: double precision, and a mask of the loci that it could use."""
    paths = [data.folder / name for name in ("a.ohe.npz", "a.attr.npz", "a.idx.npy")]
    np.savez_compressed(paths[0], data.sequences[kept])
    np.savez_compressed(paths[1], data.hypothetical[kept].astype(np.float64))
    np.save(paths[2], kept)
    return paths


def test_files_of_bpnet_lite_with_the_loci_it_kept(data):
    """Loci with N are left out: without the mask the rows would slip, which is bpnet-lite's issue 12."""
    kept = data.sequences.any(axis=1).all(axis=1)
    assert 0 < (~kept).sum() < len(kept)
    ohe, attr, idx = bpnet_lite_files(data, kept)
    loci = data.folder / "loci.bed"
    wide = data.coords.assign(start=data.coords["start"] - 3, end=data.coords["end"] + 3)  # other than the window
    wide[["chrom", "start", "end", "name"]].to_csv(loci, sep="\t", header=False, index=False)
    source = Source("bpnet-lite", attr, sequences=ohe, regions=loci)
    with pytest.raises(SeqliftError, match=rf"{len(kept)} lines for the {kept.sum()} rows of a.attr.npz"):
        convert(source, "seqlift", data.folder / "x.h5", target="f", method="m", genome=data.genome)
    source = Source("bpnet-lite", attr, sequences=ohe, regions=loci, kept=idx)
    convert(source, "seqlift", data.folder / "x.h5", target="f", method="m", genome=data.genome)
    data.coords, data.sequences = data.coords[kept].reset_index(drop=True), data.sequences[kept]
    data.hypothetical = data.hypothetical[kept]
    assert_same(data.folder / "x.h5", data, coords=("chrom", "start", "end", "name"))


def one_by_one(data):
    """Only windows that do not overlap: a bedGraph has one value for a base."""
    order = data.coords.sort_values(["chrom", "start"])
    kept = order[(order["start"] >= order.groupby("chrom")["end"].cummax().groupby(order["chrom"]).shift(fill_value=0))]
    rows = np.sort(kept.index)
    data.coords = data.coords.loc[rows].reset_index(drop=True)
    data.sequences, data.hypothetical = data.sequences[rows], data.hypothetical[rows]
    write_scores(data.scores, data.coords, data.sequences, data.hypothetical)
    return len(rows)


def test_bedgraph_there_and_back_keeps_every_contribution(data):
    assert one_by_one(data) > 10
    graph = data.folder / "x.bedGraph"
    convert(Source("seqlift", data.scores), "bedgraph", graph, genome=data.genome)
    lines = [line.split("\t") for line in graph.read_text().splitlines()]
    assert sum(int(end) - int(start) for _, start, end, _ in lines) == data.sequences.sum()
    source = Source("bedgraph", graph, regions=data.bed(columns=4))
    done = convert(source, "seqlift", data.folder / "x.h5", target="factor", method="deeplift", genome=data.genome)
    assert not done.hypothetical_known
    with open_scores(data.folder / "x.h5") as scores, open_scores(data.scores) as ours:
        np.testing.assert_array_equal(scores.contributions[:], ours.contributions[:])
        np.testing.assert_array_equal(scores.hypothetical[:], ours.contributions[:])
        np.testing.assert_array_equal(scores.sequences[:], ours.sequences[:])
        assert scores.attributes["hypothetical"] == "unknown"
    with pytest.raises(SeqliftError, match="modisco needs hypothetical ones, which cannot be made"):
        convert(Source("seqlift", data.folder / "x.h5"), "modisco", data.folder / "y")
    with pytest.raises(SeqliftError, match="hypothetical contributions are unknown"):
        discover(data.folder / "x.h5", data.folder / "motifs", database=Database("", "", (), (), ()))
    write_track(data.folder / "x.h5", data.folder / "x.bw", chromosome_sizes=SIZES)
    assert verify_track(data.scores, data.folder / "x.bw") == data.sequences.sum()


def test_bedgraph_of_overlapping_windows_is_the_track(data):
    """Nothing else can be said of a base with several scores than what the track says."""
    graph = data.folder / "x.bedGraph"
    convert(Source("seqlift", data.scores), "bedgraph", graph, genome=data.genome)
    found = {}
    for line in graph.read_text().splitlines():
        chrom, start, end, value = line.split("\t")
        found |= {(chrom, place): np.float32(value) for place in range(int(start), int(end))}
    write_track(data.scores, data.folder / "x.bw", chromosome_sizes=SIZES)
    import pyBigWig

    with pyBigWig.open(str(data.folder / "x.bw")) as track:
        for chrom, size in SIZES.items():
            values = track.values(chrom, 0, size, numpy=True)
            here = {(chrom, int(i)): np.float32(values[i]) for i in np.flatnonzero(~np.isnan(values))}
            assert here == {key: value for key, value in found.items() if key[0] == chrom}


def test_bedgraph_is_compared_with_the_genome(data):
    """Chromosomes of the same names and sizes, but other bases: another assembly."""
    other = data.folder / "other.fa"
    lines = data.fasta.read_text().splitlines()
    others = [line if line.startswith(">") else line.translate(str.maketrans("ACGT", "CGTA")) for line in lines]
    other.write_text("\n".join(others))
    with pytest.raises(SeqliftError, match=r"40 of 40 rows .*other.fa"):
        genome = Genome(other, cache_dir=data.folder / "cache")
        convert(Source("seqlift", data.scores), "bedgraph", data.folder / "x.bedGraph", genome=genome)
    assert not (data.folder / "x.bedGraph").exists()


def test_a_chromosome_may_begin_like_a_header_of_bedgraph(tmp_path):
    (tmp_path / "x.fa").write_text(">track1\nACGTACGTAC\n>browser_2\nACGTACGTAC\n")
    (tmp_path / "x.bed").write_text("track1\t2\t6\nbrowser_2\t3\t7\n")
    lines = "".join(f"{chrom}\t{i}\t{i + 1}\t{i}\n" for chrom in ("track1", "browser_2") for i in range(10))
    (tmp_path / "x.bedGraph").write_text(f"track name=x\nbrowser position y\n{lines}")
    source = Source("bedgraph", tmp_path / "x.bedGraph", regions=tmp_path / "x.bed")
    genome = Genome(tmp_path / "x.fa", cache_dir=tmp_path / "cache")
    convert(source, "seqlift", tmp_path / "x.h5", target="f", method="m", genome=genome)
    with open_scores(tmp_path / "x.h5") as scores:
        assert scores.contributions[:].sum(axis=1).tolist() == [[2, 3, 4, 5], [3, 4, 5, 6]]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("chrA\t5\t3\t1\n", r"x.bedGraph:1: chrA:5-3 does not lie inside chrA \(0-5000\)"),
        ("chrA\t5\t9000\t1\n", r":1: chrA:5-9000 does not lie inside chrA"),
        ("chrA\t5\t6\tnan\n", r":1: value 'nan' must be a finite number"),
        ("track x\nchrA\t5\t6\n", r":2: 'chrA 5 6'; a bedGraph line is chrom, start, end and a number"),
        ("chrZ\t5\t6\t1\n", r":1: .*genome.fa has no chromosome 'chrZ'"),
        ("chrA\t5\t7\t1\nchrA\t6\t8\t1\n", r":2: starts at 6, before the line above ends \(7\)"),
        ("chrA\t5\t7\t1\nchrB\t1\t2\t1\nchrA\t9\t10\t1\n", ":3: chrA comes a second time; sort the file"),
        ("chrA\t5\t7\t1\n", r"has no value for 60 bp of 'peak_1' \("),
        ("#nothing\n", "holds no line with a value"),
    ],
)
def test_wrong_bedgraphs_are_named(data, change, said):
    path = data.folder / "x.bedGraph"
    path.write_text(change)
    data.coords = data.coords.iloc[1:]
    with pytest.raises(SeqliftError, match=said):
        convert(
            Source("bedgraph", path, regions=data.bed(columns=4)),
            "seqlift", data.folder / "x.h5", target="f", method="m", genome=data.genome,
        )  # fmt: skip
    assert not (data.folder / "x.h5").exists()


def modisco(data, **changes):
    """A pair of archives as the user saved them, to ours."""
    arrays = {"sequences": data.sequences, "scores": data.hypothetical} | changes
    for name, array in arrays.items():
        np.savez(data.folder / f"{name}.npz", array)
    source = Source("modisco", data.folder / "scores.npz", data.folder / "sequences.npz", data.bed())
    return convert(source, "seqlift", data.folder / "x.h5", target="f", method="m", genome=data.genome)


def changed(array, place, value):
    array = array.astype(np.float64)
    array[place] = value
    return array


def test_what_is_wrong_in_the_arrays_is_named(data):
    peak = r"'chr[AB]:\d+-\d+' \(row 7, chr[AB]:\d+-\d+\)"
    base = int(data.sequences[7, :, 5].argmax())
    for changes, said in {
        "half": (
            {"sequences": changed(data.sequences, (7, base, 5), 0.5)},
            f"one-hot, the first is {peak}: position 5",
        ),
        "two": ({"sequences": changed(data.sequences, (7, slice(0, 2), 5), 1)}, f"{peak}.*A C G T = 1, 1"),
        "nan": ({"scores": changed(data.hypothetical, (7, 0, 0), np.nan)}, f"not finite, the first is {peak}"),
        "order": ({"sequences": data.sequences.transpose(0, 2, 1)}, r"shape \(40, 60, 4\).*transpose it"),
        "rows": ({"scores": data.hypothetical[:-1]}, r"scores.npz: shape \(39, 4, 60\), but the sequences in"),
        "actual": ({"scores": data.hypothetical * data.sequences}, "these are contributions, not hypothetical ones"),
        "fortran": ({"scores": np.asfortranarray(data.hypothetical)}, "Fortran order"),
        "text": ({"scores": np.full((40, 4, 60), "x")}, "must hold numbers"),
        "slipped": (
            {"sequences": np.roll(data.sequences, 1, 0), "scores": np.roll(data.hypothetical, 1, 0)},
            "40 of 40 rows .*genome.fa",
        ),
    }.values():
        with pytest.raises(SeqliftError, match=said):
            modisco(data, **changes)
        assert not (data.folder / "x.h5").exists()
    modisco(data)
    assert_same(data.folder / "x.h5", data, coords=("chrom", "start", "end"))


def test_scores_that_are_all_zero_are_no_contradiction(data):
    modisco(data, scores=np.zeros_like(data.hypothetical))
    data.hypothetical = np.zeros_like(data.hypothetical)
    assert_same(data.folder / "x.h5", data, coords=("chrom", "start", "end"))


def test_broken_archives_are_named(data):
    np.savez(data.folder / "ohe.npz", data.sequences)
    np.savez(data.folder / "two.npz", a=data.hypothetical, b=data.hypothetical)
    buffer = io.BytesIO()
    np.save(buffer, data.hypothetical)
    with zipfile.ZipFile(data.folder / "short.npz", "w") as archive:
        archive.writestr("arr_0.npy", buffer.getvalue()[:-8])
    (data.folder / "text.npz").write_text("no archive")
    (data.folder / "folder.npz").mkdir()
    for name, said in {
        "two": "holds no array named arr_0, but: a, b",
        "short": "ends before its last row",
        "text": "not a NumPy array or archive",
        "absent": "no such file",
        "folder": "no such file",
    }.items():
        source = Source("modisco", data.folder / f"{name}.npz", data.folder / "ohe.npz", data.bed())
        with pytest.raises(SeqliftError, match=f"{name}.npz: {said}"):
            convert(source, "seqlift", data.folder / "x.h5", target="f", method="m")


def test_a_single_array_of_another_name_is_taken(data):
    """tangermeme users save `numpy.savez(path, x)` or `.npy`; one array cannot be mistaken for another."""
    np.savez(data.folder / "ohe.npz", X=data.sequences)
    np.save(data.folder / "shap.npy", data.hypothetical)
    source = Source("modisco", data.folder / "shap.npy", data.folder / "ohe.npz", data.bed())
    convert(source, "seqlift", data.folder / "x.h5", target="f", method="m")
    assert_same(data.folder / "x.h5", data, coords=("chrom", "start", "end"))


def test_lines_that_give_no_window_are_named(data):
    bed = data.bed()
    lines = bed.read_text().splitlines()
    for text, said in {
        "\n".join(lines[:-1]): r"39 lines for the 40 rows of scores.npz",
        "\n".join([lines[0], "chrA\t10\t40", *lines[2:]]): r":2: 30 bp, but the rows of scores.npz have 60",
    }.items():
        for name, array in {"sequences": data.sequences, "scores": data.hypothetical}.items():
            np.savez(data.folder / f"{name}.npz", array)
        bed.write_text(text)
        source = Source("modisco", data.folder / "scores.npz", data.folder / "sequences.npz", bed)
        with pytest.raises(SeqliftError, match=said):
            convert(source, "seqlift", data.folder / "x.h5", target="f", method="m")
    bed.write_text("\n".join(["chrA\t0\t20", *lines[1:]]))
    source = Source("bpnet-lite", data.folder / "scores.npz", data.folder / "sequences.npz", bed)
    with pytest.raises(SeqliftError, match=":1: the window of 60 bp around it would start before its chromosome"):
        convert(source, "seqlift", data.folder / "x.h5", target="f", method="m")


def test_duplicate_names_are_numbered(data):
    """A peak with two summits is two lines of one name in ENCODE's files."""
    data.coords["name"] = ["twin"] * 2 + ["triple"] * 3 + ["twin.2"] + [f"p{i}" for i in range(34)]
    np.savez(data.folder / "ohe.npz", data.sequences)
    np.savez(data.folder / "shap.npz", data.hypothetical)
    source = Source("modisco", data.folder / "shap.npz", data.folder / "ohe.npz", data.bed(columns=4))
    convert(source, "seqlift", data.folder / "x.h5", target="f", method="m")
    with open_scores(data.folder / "x.h5") as scores:
        names = ["twin", "twin.2", "triple", "triple.2", "triple.3", "twin.2.2", "p0"]
        assert scores.coords["name"][:7].tolist() == names


def test_hdf5_files_that_are_something_else_are_named(data):
    wrong = np.roll((data.hypothetical * data.sequences).astype(np.float16), 1, 0)
    with pytest.raises(SeqliftError, match="projected_shap/seq of row 0 is not raw/seq times shap/seq"):
        source = Source("chrombpnet", chrombpnet_file(data, projected=wrong), regions=data.bed())
        convert(source, "seqlift", data.folder / "x.h5", target="f", method="m")
    with pytest.raises(SeqliftError, match="has no input_seqs, so it is not a file of bpreveal; it holds"):
        convert(Source("bpreveal", chrombpnet_file(data)), "seqlift", data.folder / "x.h5", target="f", method="m")
    with pytest.raises(SeqliftError, match="not an HDF5 file"):
        convert(Source("bpreveal", data.fasta), "seqlift", data.folder / "x.h5", target="f", method="m")
    other = data.folder / "other.bed"
    data.coords.assign(start=data.coords["start"] + 1, end=data.coords["end"] + 1)[["chrom", "start", "end"]].to_csv(
        other, sep="\t", header=False, index=False
    )
    with pytest.raises(SeqliftError, match=r"other.bed: row 0 lies at chrA:691, in .*bpreveal5.h5 at chrA:690"):
        source = Source("bpreveal", bpreveal_file(data), regions=other)
        convert(source, "seqlift", data.folder / "x.h5", target="f", method="m")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--from", "modisco", "--to", "modisco"], "nothing to convert"),
        (["--from", "modisco", "--to", "bedgraph"], "convert modisco to seqlift first"),
        (["--from", "modisco", "--to", "seqlift"], "--sequences is missing; modisco keeps the one-hot sequences"),
        (["--from", "chrombpnet", "--to", "seqlift"], "--regions is missing; chrombpnet keeps the coordinates"),
        (["--from", "seqlift", "--to", "modisco", "--regions", "b"], "--regions means nothing with --from seqlift"),
        (["--from", "seqlift", "--to", "bpreveal"], "--genome is missing; bpreveal needs the FASTA"),
        (["--from", "seqlift", "--to", "bedgraph"], "--genome is missing; bedgraph needs the FASTA"),
        (["--from", "seqlift", "--to", "modisco", "--target", "x"], "--target means nothing with --to modisco"),
        (["--from", "bpreveal", "--to", "seqlift", "--target", "a/b"], "--target (='a/b') must be made of letters"),
        (["--from", "bpreveal", "--to", "seqlift", "--target", "a"], "--method (=None) must be made of letters"),
        (["--from", "seqlift", "--to", "modisco"], "absent: no such score file"),
    ],
)
def test_wrong_flags_are_one_clear_line(tmp_path, capsys, flags, said):
    assert main(["convert", *flags, "--scores", "absent", "--output", str(tmp_path / "x")]) == 1
    error = capsys.readouterr().err
    assert error.startswith("seqlift convert: error: ") and said in error and error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_the_command_says_what_it_wrote(data, capsys, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(data.folder / "cache"))
    flags = ["--scores", str(data.scores), "--to", "bpreveal", "--genome", str(data.fasta)]
    assert main(["convert", "--from", "seqlift", *flags, "--output", str(data.folder / "y.h5")]) == 0
    assert capsys.readouterr().out == f"40 regions: {data.folder / 'y.h5'}, {data.folder / 'y.regions.bed'}\n"
    back = ["--scores", str(data.folder / "y.h5"), "--to", "seqlift", "--target", "f", "--method", "shap"]
    assert main(["convert", "--from", "bpreveal", *back, "--output", str(data.folder / "z.h5")]) == 0
    with open_scores(data.folder / "z.h5") as scores:
        assert (scores.attributes["target"], scores.attributes["method"]) == ("f", "shap")


def test_memory_holds_blocks_not_files(tmp_path, monkeypatch):
    """Far less memory than the scores would take."""
    monkeypatch.setattr("seqlift.convert.npz.BLOCK", 16)
    assert BLOCK > 16
    n, length = 400, 800
    sequences = one_hot(np.random.default_rng(0).integers(0, 4, (n, length)))
    size = n * 4 * length * 4
    np.savez(tmp_path / "ohe.npz", sequences)
    np.savez(tmp_path / "shap.npz", np.random.default_rng(1).normal(size=(n, 4, length)).astype(np.float32))
    lines = [f"chr1\t{i * length}\t{(i + 1) * length}" for i in range(n)]
    (tmp_path / "w.bed").write_text("\n".join(lines))
    source = Source("modisco", tmp_path / "shap.npz", tmp_path / "ohe.npz", tmp_path / "w.bed")
    convert(source, "seqlift", tmp_path / "x.h5", target="f", method="m")  # imports and caches
    tracemalloc.start()
    convert(source, "seqlift", tmp_path / "x.h5", target="f", method="m")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < size / 2


@pytest.mark.parametrize("to", [*SOURCES, "bedgraph", "seqlift"])
def test_a_full_disk_is_said_and_leaves_the_good_file(tmp_path, to, capsys, monkeypatch):
    data = Data(tmp_path, n=400)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    Genome(data.fasta)
    folder = tmp_path / "out"
    flags = ["--from", "seqlift", "--scores", str(data.scores)]
    if to in ("bpreveal", "bedgraph"):
        flags += ["--genome", str(data.fasta)]
    if to == "seqlift":
        done = convert(Source("seqlift", data.scores), "modisco", tmp_path / "m")
        flags = ["--from", "modisco", "--scores", str(done.files[1]), "--sequences", str(done.files[0])]
        flags += ["--regions", str(done.files[2]), "--target", "f", "--method", "m"]
    flags = ["convert", *flags, "--to", to, "--output", str(folder / "x")]
    assert main(flags) == 0
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with disk_of(20_000):
        assert main(flags) == 1
    error = capsys.readouterr().err
    assert error.startswith("seqlift convert: error: ") and error.count("\n") == 1, error
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
