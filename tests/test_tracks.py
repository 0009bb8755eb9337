"""Tracks hold exactly the scores, where the policy says, and nothing else."""

import json
import shutil

import h5py
import numpy as np
import pandas as pd
import pyBigWig
import pytest

from fixtures.motif import one_hot, place, write_scores
from seqlift.cli import main
from seqlift.errors import SeqliftError
from seqlift.tracks.laying import lay
from seqlift.tracks.verifying import verify_track
from seqlift.tracks.writing import write_track

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
    assert (codes == 4).any()
    assert verify_track(path, tmp_path / "x.bw") == len(truth)


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
    # Centres 12 and 14: base 13 is as near to both.
    (laid,) = lay(np.array([12, 10, 12]), np.array(["b", "c", "a"]), values, "nearest-summit")
    assert laid.positions.tolist() == [10, 11, 12, 13, 14, 15]
    assert laid.values.tolist() == [2, 2, 2, 2, 3, 3]
    assert laid.several == 4


def test_windows_of_even_length_that_touch_keep_all_their_bases():
    values = np.array([[1.0] * 4, [2.0] * 4], np.float32)
    (laid,) = lay(np.array([0, 4]), np.array(["a", "b"]), values, "nearest-summit")
    assert laid.positions.tolist() == list(range(8))
    assert laid.values.tolist() == [1] * 4 + [2] * 4
    assert laid.several == 0


@pytest.mark.parametrize("overlap", ["nearest-summit", "mean"])
def test_blocks_of_rows_change_nothing(overlap):
    """The mean is summed up in one order, whatever is in memory at a time; places between far windows take none."""
    rng = np.random.default_rng(3)
    starts = np.concatenate([rng.integers(0, 300, 50), rng.integers(10**8, 10**8 + 300, 50), [10**8 + 40] * 3])
    names, values = np.arange(len(starts)).astype(str), rng.normal(size=(len(starts), 30)).astype(np.float32)
    values[rng.random(values.shape) < 0.1] = np.nan

    def together(**settings):
        parts = list(lay(starts, names, values, overlap, **settings))
        assert all(len(part.positions) <= 60 + 30 * settings.get("at_once", 10**9) // 30 for part in parts)
        arrays = [np.concatenate([getattr(part, name) for part in parts]) for name in ("positions", "values")]
        return len(parts), *arrays, sum(part.several for part in parts)

    one, many = together(), together(at_once=60)
    assert one[0] == 1 and many[0] > 20
    np.testing.assert_array_equal(one[1], many[1])
    np.testing.assert_array_equal(one[2], many[2])
    assert one[3] == many[3]
    # The number of shared bases, counted one by one
    bases = {}
    for start, row in zip(starts, values, strict=True):
        for i in np.flatnonzero(~np.isnan(row)):
            bases[start + i] = bases.get(start + i, 0) + 1
    if overlap == "mean":
        assert one[3] == sum(count > 1 for count in bases.values())
        assert len(one[1]) == len(bases)


def test_the_sidecar_says_what_the_track_holds(tmp_path):
    path, coords, *_ = overlapping(tmp_path)
    summary = write_track(path, tmp_path / "x.bw", chromosome_sizes=SIZES)
    sidecar = json.loads((tmp_path / "x.bw.json").read_text())
    assert sidecar["overlap"] == "nearest-summit" and sidecar["scores"] == "scoresNone.h5"
    assert sidecar["target"] == "factor" and sidecar["method"] == "deeplift"
    assert sidecar["format"] == "seqlift track 2" and sidecar["value"] == "contribution" and sidecar["minus"] is None
    assert sidecar["regions"] == len(coords)
    assert sidecar["bases"] == summary.bases and 0 < sidecar["bases_in_several_regions"] < sidecar["bases"]


def test_a_track_that_differs_in_one_base_is_found_out(tmp_path):
    path, *_ = overlapping(tmp_path)
    write_track(path, tmp_path / "good.bw", chromosome_sizes=SIZES)

    def copy(change):
        shutil.copy(tmp_path / "good.bw.json", tmp_path / "bad.bw.json")
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
        verify_track(path, tmp_path / "bad.bw")
    copy(lambda chrom, entries: [*entries, (2995, 2996, 0.0)] if chrom == "chr2" else entries)
    with pytest.raises(SeqliftError, match=r"has values at \d+ bases of chr2:0-3000, where \d+ were scored"):
        verify_track(path, tmp_path / "bad.bw")
    copy(lambda chrom, entries: entries[:-1])
    with pytest.raises(SeqliftError, match=r"differ from"):
        verify_track(path, tmp_path / "bad.bw")


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
        "that the genome lacks: 1; the genome has chr1",
    )
    refuse(coordinates([("chr1", 3), ("chr10", 491)], 10), r"'r1' at chr10:491-501 of 500 bp")
    refuse(coordinates([("chr1", -1), ("chr10", 4)], 10), r"'r0' at chr1:-1-9")
    refuse(coordinates([("chr1", 1), ("chr10", 4)], 11), "do not lie on the genome in 10 bp")
    refuse(coordinates([("chr1", 1), ("chr10", 4)], 10), "overlap policy 'max' does not exist", overlap="max")
    sequences = one_hot(np.full((2, 10), 4))
    refuse(coordinates([("chr1", 1), ("chr10", 4)], 10), "every base is N")


def test_scores_that_are_not_finite_are_refused(tmp_path):
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
        flags = ["--scores", str(path), "--genome-sizes", str(tmp_path / sizes), "--output", str(output)]
        assert main(["tracks", "write", *flags]) == 0
        assert "lay in several regions (nearest-summit)" in capsys.readouterr().out
        assert main(["tracks", "verify", "--scores", str(path), "--track", str(output)]) == 0
        assert "and no other base has a value" in capsys.readouterr().out


def test_the_command_says_what_is_wrong_with_its_input(tmp_path, capsys):
    path, *_ = overlapping(tmp_path)
    (tmp_path / "wrong.json").write_text('{"genome": 3}')

    def run(scores, sizes):
        flags = ["--scores", str(scores), "--genome-sizes", str(sizes), "--output", str(tmp_path / "o.bw")]
        status = main(["tracks", "write", *flags])
        assert status == 1 and not (tmp_path / "o.bw").exists()
        return capsys.readouterr().err

    assert "holds no sizes under genome/chromosomes" in run(path, tmp_path / "wrong.json")
    assert "none.json: no such file" in run(path, tmp_path / "none.json")
    (tmp_path / "right.json").write_text(json.dumps({"genome": {"chromosomes": SIZES}}))
    assert "none.h5: no such score file" in run(tmp_path / "none.h5", tmp_path / "right.json")


def two_methods(tmp_path, *, change=lambda second: None):
    """The score files of two methods for the same regions, the second one's rows in another order."""
    path, coords, codes, hypothetical = overlapping(tmp_path)
    order = np.random.default_rng(5).permutation(len(coords))
    other = hypothetical * 0.5 + 0.25
    second = {
        "path": tmp_path / "second.h5",
        "coords": coords.iloc[order].reset_index(drop=True),
        "sequences": one_hot(codes[order]),
        "hypothetical": other[order],
        "method": "interior_gradients",
    }
    change(second)
    write_scores(**second)
    return path, second["path"], coords, codes, hypothetical - other.astype(np.float32)


def assert_holds(path, truth):
    with pyBigWig.open(str(path)) as file:
        for (chrom, position), value in truth.items():
            assert file.values(chrom, position, position + 1)[0] == value


def test_a_difference_is_that_of_the_two_files_at_each_base(tmp_path):
    first, second, coords, codes, difference = two_methods(tmp_path)
    track = tmp_path / "d.bw"
    summary = write_track(first, track, chromosome_sizes=SIZES, minus=second)
    named = (summary.value, summary.method, summary.minus)
    assert named == ("difference", "deeplift - interior_gradients", "second.h5")
    truth = expected(coords, codes, difference, "nearest-summit")
    assert_holds(track, truth)
    assert verify_track(first, track, minus=second) == len(truth) == summary.bases
    with pytest.raises(SeqliftError, match="names the second score file of a difference"):
        verify_track(first, track)
    with h5py.File(second, "r+") as file:
        file["projected_shap/seq"][7] *= 2
    with pytest.raises(SeqliftError, match="differ from"):
        verify_track(first, track, minus=second)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda second: second.update(target="other"), r"its target \(other\) is not that of"),
        (
            lambda second: second.update(coords=second["coords"].assign(name=second["coords"]["name"] + "x")),
            r"its 60 regions are not the 60 of",
        ),
        (
            lambda second: second.update(sequences=np.roll(second["sequences"], 1, axis=1)),
            r"has another sequence than in .* explain both on one genome",
        ),
    ],
)
def test_a_difference_needs_the_same_output_regions_and_sequences(tmp_path, change, message):
    first, second, *_ = two_methods(tmp_path, change=change)
    with pytest.raises(SeqliftError, match=message):
        write_track(first, tmp_path / "d.bw", chromosome_sizes=SIZES, minus=second)
    assert not (tmp_path / "d.bw").exists() and not (tmp_path / "d.bw.json").exists()


def test_the_standard_error_of_regions_that_have_one(tmp_path):
    """Two regions had one reference only, and so no standard error: they do not take the place of others."""
    path, coords, codes, _ = overlapping(tmp_path)
    errors = np.abs(np.random.default_rng(8).normal(size=codes.shape)).astype(np.float32)
    errors[[4, 41]] = np.nan
    with h5py.File(path, "r+") as file:
        file["diagnostics/standard_error"][:] = errors
    summary = write_track(path, tmp_path / "e.bw", chromosome_sizes=SIZES, value="standard-error")
    kept = np.ones(len(coords), bool)
    kept[[4, 41]] = False
    spread = np.repeat(errors[:, None], 4, axis=1)
    truth = expected(coords[kept].reset_index(drop=True), codes[kept], spread[kept], "nearest-summit")
    assert summary.value == "standard-error" and summary.regions == kept.sum()
    assert_holds(tmp_path / "e.bw", truth)
    assert verify_track(path, tmp_path / "e.bw") == len(truth) == summary.bases


def test_scores_from_elsewhere_that_name_no_model_contradict_none(tmp_path):
    """A converted file has no fingerprint; what its track holds is compared base by base all the same."""
    first, second, coords, codes, difference = two_methods(tmp_path)
    write_track(first, tmp_path / "unknown.bw", chromosome_sizes=SIZES)
    with h5py.File(first, "r+") as file:
        file.attrs["model_fingerprint"] = "ours"
    write_track(first, tmp_path / "known.bw", chromosome_sizes=SIZES)
    assert verify_track(first, tmp_path / "unknown.bw") == verify_track(first, tmp_path / "known.bw")
    write_track(first, tmp_path / "d.bw", chromosome_sizes=SIZES, minus=second)
    assert_holds(tmp_path / "d.bw", expected(coords, codes, difference, "nearest-summit"))
    with h5py.File(second, "r+") as file:
        file.attrs["model_fingerprint"] = "theirs"
    with pytest.raises(SeqliftError, match=r"its model_fingerprint \(theirs\) is not that of"):
        write_track(first, tmp_path / "d.bw", chromosome_sizes=SIZES, minus=second)
    with h5py.File(first, "r+") as file:
        del file.attrs["model_fingerprint"]
    assert verify_track(first, tmp_path / "known.bw") > 0


def test_one_reference_has_no_standard_error(tmp_path, capsys):
    path, *_ = overlapping(tmp_path)
    sizes = tmp_path / "regions.json"
    sizes.write_text(json.dumps({"genome": {"chromosomes": SIZES}}))
    flags = ["--scores", str(path), "--genome-sizes", str(sizes), "--output", str(tmp_path / "e.bw")]
    assert main(["tracks", "write", "--value", "standard-error", *flags]) == 1
    assert (
        "against one reference alone, or the scores were made elsewhere; take n_references of 2"
        in capsys.readouterr().err
    )
    assert main(["tracks", "write", "--value", "standard-error", "--minus", str(path), *flags]) == 1
    assert "a difference is one of contributions" in capsys.readouterr().err


def test_verifying_says_which_file_is_wrong(tmp_path, capsys):
    path, *_ = overlapping(tmp_path)
    track, note = tmp_path / "x.bw", tmp_path / "x.bw.json"
    (tmp_path / "regions.json").write_text(json.dumps({"genome": {"chromosomes": SIZES}}))
    write_track(path, track, chromosome_sizes=tmp_path / "regions.json")
    good = json.loads(note.read_text())

    def message(**changes):
        note.write_text(json.dumps(good | changes))
        return verify()

    def verify():
        assert main(["tracks", "verify", "--scores", str(path), "--track", str(track)]) == 1
        return capsys.readouterr().err

    assert "not of format 'seqlift track 2'" in message(format="seqlift track 1")
    assert "its target (other) is not that of" in message(target="other")
    assert "says 1 bases" in message(bases=1)
    assert "differ from" in message(overlap="mean")
    with h5py.File(path, "r+") as file:
        file.attrs["model_fingerprint"] = "ours"
    assert "its model_fingerprint (theirs) is not that of" in message(model_fingerprint="theirs")
    assert "holds predictions" in message(value="predicted")
    note.unlink()
    assert "x.bw.json: no such file" in verify()
    note.write_text(json.dumps(good))
    track.write_bytes(b"no bigWig at all" * 99)
    assert "not a bigWig file" in verify()
