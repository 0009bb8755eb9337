"""Tracks hold exactly the scores, where the policy says, and nothing else."""

import json

import numpy as np
import pandas as pd
import pyBigWig
import pytest

from motif_fixture import one_hot, place, write_scores
from seqlift.cli import main
from seqlift.errors import SeqliftError
from seqlift.tracks import lay, read_sizes, verify_track, write_track

SIZES = {"chr2": 3000, "chr10": 500, "chr1": 4000}


def coordinates(rows, length):
    """A table of (chrom, start) rows, named in the order given."""
    table = pd.DataFrame(rows, columns=["chrom", "start"])
    return table.assign(end=table["start"] + length, name=[f"r{i}" for i in range(len(rows))], strand=".")


def overlapping(tmp_path, *, seed=0, shuffle=None, length=41):
    """A score file of 60 regions, unsorted, many of them overlapping, three at the same place, with some N."""
    rng = np.random.default_rng(seed)
    rows = [("chr1", int(start)) for start in rng.integers(0, 600, 40)] + [("chr2", 2990 - length)] * 3
    rows += [("chr2", int(start)) for start in rng.integers(0, 200, 17)]
    coords = coordinates(rows, length)
    genome = {chrom: rng.integers(0, 4, size) for chrom, size in SIZES.items()}
    genome["chr1"][100:130] = 4
    codes = np.stack([genome[chrom][start : start + length] for chrom, start in rows])
    hypothetical = rng.normal(size=(len(rows), 4, length))
    order = np.arange(len(rows)) if shuffle is None else np.random.default_rng(shuffle).permutation(len(rows))
    path = tmp_path / f"scores{shuffle}.h5"
    write_scores(path, coords.iloc[order].reset_index(drop=True), one_hot(codes[order]), hypothetical[order])
    return path, coords, codes, hypothetical.astype(np.float32)


def expected(coords, codes, hypothetical, overlap):
    """The policy in words, one base after another: {(chrom, position): value}."""
    candidates = {}
    for row, (chrom, start) in enumerate(zip(coords["chrom"], coords["start"], strict=True)):
        for i, base in enumerate(codes[row]):
            if base < 4:
                rank = (abs(i - codes.shape[1] // 2), start, coords["name"][row])
                candidates.setdefault((chrom, int(start) + i), []).append((rank, hypothetical[row, base, i]))
    if overlap == "mean":
        return {key: np.float32(np.mean([float(value) for _, value in found])) for key, found in candidates.items()}
    return {key: min(found)[1] for key, found in candidates.items()}


@pytest.mark.parametrize("overlap", ["nearest-summit", "mean"])
@pytest.mark.parametrize("length", [40, 41])
def test_each_base_holds_the_score_the_policy_names_and_no_other_base_any(tmp_path, overlap, length):
    path, coords, codes, hypothetical = overlapping(tmp_path, length=length)
    summary = write_track(path, tmp_path / "x.bw", chromosome_sizes=SIZES, overlap=overlap)
    truth = expected(coords, codes, hypothetical, overlap)
    with pyBigWig.open(str(tmp_path / "x.bw")) as track:
        assert list(track.chroms().items()) == sorted(SIZES.items())
        assert track.header()["nLevels"] > 0  # genome browsers need zoom levels
        for chrom, size in SIZES.items():
            values = track.values(chrom, 0, size, numpy=True).astype(np.float32)
            wanted = np.full(size, np.nan, np.float32)
            for (name, position), value in truth.items():
                if name == chrom:
                    wanted[position] = value
            np.testing.assert_array_equal(values, wanted)
    assert summary.bases == len(truth) == sum(summary.chromosomes.values())
    assert set(summary.chromosomes) == {"chr1", "chr2"}
    assert summary.bases_n == (codes == 4).sum() > 0
    assert verify_track(path, tmp_path / "x.bw", chromosome_sizes=SIZES, overlap=overlap) == len(truth)


@pytest.mark.parametrize("overlap", ["nearest-summit", "mean"])
def test_the_order_of_rows_does_not_matter(tmp_path, overlap):
    tracks = []
    for shuffle in (None, 1):
        path, *_ = overlapping(tmp_path, shuffle=shuffle)
        write_track(path, tmp_path / "x.bw", chromosome_sizes=SIZES, overlap=overlap)
        tracks.append((tmp_path / "x.bw").read_bytes())
    assert tracks[0] == tracks[1]


def test_a_tie_goes_to_the_lower_start_and_the_same_window_to_the_first_name():
    values = np.array([[1.0] * 4, [2.0] * 4, [3.0] * 4], np.float32)
    known = np.ones((3, 4), bool)
    # Centres 12 and 14: base 13 is as near to both.
    positions, heights = lay(np.array([12, 10, 12]), np.array(["b", "c", "a"]), values, known, "nearest-summit")
    assert positions.tolist() == [10, 11, 12, 13, 14, 15]
    assert heights.tolist() == [2, 2, 2, 2, 3, 3]


def test_windows_of_even_length_that_touch_keep_all_their_bases():
    values = np.array([[1.0] * 4, [2.0] * 4], np.float32)
    positions, heights = lay(np.array([0, 4]), np.array(["a", "b"]), values, np.ones((2, 4), bool), "nearest-summit")
    assert positions.tolist() == list(range(8))
    assert heights.tolist() == [1] * 4 + [2] * 4


def test_the_sidecar_says_what_the_track_holds(tmp_path):
    path, coords, *_ = overlapping(tmp_path)
    summary = write_track(path, tmp_path / "x.bw", chromosome_sizes=SIZES)
    sidecar = json.loads((tmp_path / "x.bw.json").read_text())
    assert sidecar["overlap"] == "nearest-summit" and sidecar["scores"] == "scoresNone.h5"
    assert sidecar["target"] == "factor" and sidecar["method"] == "deeplift"
    assert sidecar["regions"] == len(coords)
    assert sidecar["bases"] == summary.bases and 0 < sidecar["bases_in_several_regions"] < sidecar["bases"]


def test_a_track_that_differs_in_one_base_is_found_out(tmp_path):
    path, *_ = overlapping(tmp_path)
    write_track(path, tmp_path / "good.bw", chromosome_sizes=SIZES)

    def copy(change):
        with pyBigWig.open(str(tmp_path / "good.bw")) as good, pyBigWig.open(str(tmp_path / "bad.bw"), "w") as bad:
            bad.addHeader(list(SIZES.items()))
            for chrom in ("chr2", "chr1"):  # as in the header
                entries = change(chrom, list(good.intervals(chrom)))
                starts, ends, values = zip(*entries, strict=True)
                bad.addEntries([chrom] * len(entries), list(starts), ends=list(ends), values=list(values))

    def nudged(chrom, entries):
        begin, end, value = entries[70]
        return entries if chrom == "chr1" else [*entries[:70], (begin, end, value + 0.001), *entries[71:]]

    copy(nudged)
    with pytest.raises(SeqliftError, match=r"1 bases of chr2 differ .* make the track again"):
        verify_track(path, tmp_path / "bad.bw", chromosome_sizes=SIZES)
    copy(lambda chrom, entries: [*entries, (2995, 2996, 0.0)] if chrom == "chr2" else entries)
    with pytest.raises(SeqliftError, match="has values at"):
        verify_track(path, tmp_path / "bad.bw", chromosome_sizes=SIZES)
    copy(lambda chrom, entries: entries[:-1])
    with pytest.raises(SeqliftError, match=r"differ from"):
        verify_track(path, tmp_path / "bad.bw", chromosome_sizes=SIZES)


def test_what_cannot_be_laid_on_the_genome_is_refused_by_name(tmp_path):
    sequences = one_hot(np.zeros((2, 10), int))
    hypothetical = np.ones((2, 4, 10))

    def refuse(coords, message, sizes=SIZES, **settings):
        path = write_scores(tmp_path / "s.h5", coords, sequences, hypothetical)
        with pytest.raises(SeqliftError, match=message):
            write_track(path, tmp_path / "x.bw", chromosome_sizes=sizes, **settings)
        assert sorted(p.name for p in tmp_path.iterdir()) == ["s.h5"]  # nothing half-written

    refuse(
        coordinates([("chr1", 3), ("1", 3)], 10),
        "1 chromosomes are not in the genome, the first is '1'; the genome has 'chr1'",
    )
    refuse(coordinates([("chr1", 3), ("chr10", 491)], 10), r"'r1' at chr10:491-501 of 500 bp")
    refuse(coordinates([("chr1", -1), ("chr10", 4)], 10), r"'r0' at chr1:-1-9")
    refuse(coordinates([("chr1", 1), ("chr10", 4)], 11), "do not lie on the genome in 10 bp")
    refuse(coordinates([("chr1", 1), ("chr10", 4)], 10), "overlap policy 'max' does not exist", overlap="max")
    sequences = one_hot(np.full((2, 10), 4))
    refuse(coordinates([("chr1", 1), ("chr10", 4)], 10), "every base is N")


def test_scores_that_are_not_finite_are_refused(tmp_path):
    import h5py

    path = write_scores(tmp_path / "s.h5", place(3, 10), one_hot(np.zeros((3, 10), int)), np.ones((3, 4, 10)))
    with h5py.File(path, "r+") as file:
        file["projected_shap/seq"][1, 0, 4] = np.nan
    with pytest.raises(SeqliftError, match=r"1 regions have scores that are not finite, the first is 'region_1'"):
        write_track(path, tmp_path / "x.bw", chromosome_sizes=SIZES)


def test_the_command_reads_sizes_from_regions_json_and_from_the_fasta(tmp_path, capsys):
    path, *_ = overlapping(tmp_path)
    (tmp_path / "regions.json").write_text(json.dumps({"genome": {"chromosomes": SIZES}}))
    (tmp_path / "genome.fa").write_text("".join(f">{name}\n{'A' * size}\n" for name, size in SIZES.items()))
    for sizes in ("regions.json", "genome.fa"):
        output = tmp_path / f"{sizes}.bw"
        assert (
            main(["tracks", "--scores", str(path), "--genome-sizes", str(tmp_path / sizes), "--output", str(output)])
            == 0
        )
        assert "lay in several regions (nearest-summit)" in capsys.readouterr().out
        assert verify_track(path, output, chromosome_sizes=read_sizes(tmp_path / "regions.json")) > 0


def test_the_command_says_what_is_wrong_with_its_input(tmp_path, capsys):
    path, *_ = overlapping(tmp_path)
    (tmp_path / "wrong.json").write_text('{"genome": 3}')

    def run(scores, sizes):
        status = main(
            ["tracks", "--scores", str(scores), "--genome-sizes", str(sizes), "--output", str(tmp_path / "o.bw")]
        )
        assert status == 1 and not (tmp_path / "o.bw").exists()
        return capsys.readouterr().err

    assert "holds no sizes under genome/chromosomes" in run(path, tmp_path / "wrong.json")
    assert "none.json: no such file" in run(path, tmp_path / "none.json")
    (tmp_path / "right.json").write_text(json.dumps({"genome": {"chromosomes": SIZES}}))
    assert "none.h5: no such score file" in run(tmp_path / "none.h5", tmp_path / "right.json")
