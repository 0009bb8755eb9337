"""Negatives from the genome: where they may lie, how well their GC content matches, and that chance is repeatable."""

import numpy as np
import pandas as pd
import pytest

from seqlift.data.genome import Genome
from seqlift.regions.splits import Splits
from seqlift.regions.windows import (
    _nearest_free,
    candidate_windows,
    draw_any,
    draw_matched,
    share_out,
    window_content,
)

LENGTH = 50
SPLITS = Splits(
    {"c1": [(0, 40_000, "train")], "c2": [(0, 40_000, "train")], "c3": [(0, 40_000, "test")]}, ["train", "test"]
)
SPLIT_OF = {"c1": "train", "c2": "train", "c3": "test"}


def gc_of(bases):
    return (bases.count("G") + bases.count("C")) / (len(bases) - bases.count("N"))


@pytest.fixture(scope="module")
def genome(tmp_path_factory):
    """Three chromosomes of 40 kb whose GC content wanders, with runs of N; and one that no split has."""
    folder = tmp_path_factory.mktemp("genome")
    rng = np.random.default_rng(5)
    with open(folder / "g.fa", "w") as file:
        for name in ("c1", "c2", "c3", "left_out"):
            gc = 0.45 + 0.25 * np.sin(np.arange(40_000) / 700 + rng.random() * 6)
            is_gc = rng.random(40_000) < gc
            bases = np.where(is_gc, rng.choice(list("GC"), 40_000), rng.choice(list("AT"), 40_000))
            bases[:500] = "N"
            bases[20_000:20_030] = "N"
            file.write(f">{name}\n{''.join(bases)}\n")
    with Genome(folder / "g.fa", cache_dir=folder / "cache") as opened:
        yield opened


@pytest.fixture(scope="module")
def positives(genome):
    """60 windows rich in G and C, 40 of them on train chromosomes."""
    rng = np.random.default_rng(6)
    rows = []
    for chrom, count in (("c1", 25), ("c2", 15), ("c3", 20)):
        windows = [int(start) for start in rng.integers(600, 39_000, 2000)]
        rich = [start for start in windows if gc_of(genome.fetch(chrom, start, start + LENGTH)) >= 0.6][:count]
        rows += [(chrom, start, start + LENGTH, gc_of(genome.fetch(chrom, start, start + LENGTH))) for start in rich]
    table = pd.DataFrame(rows, columns=["chrom", "start", "end", "gc"])
    return table.assign(split=table["chrom"].map(SPLIT_OF))


def candidates(genome, exclude, *, min_distance=100, splits=SPLITS, **changes):
    blocked = exclude.assign(start=exclude["start"] - min_distance, end=exclude["end"] + min_distance)
    settings = {"max_n_fraction": 0.1, "margin": 0, "seed": 3} | changes
    return candidate_windows(genome, blocked, LENGTH, splits=splits, **settings)


def draw(genome, positives, *, n=60, seed=3, sets=1, exclude=None, **changes):
    found = candidates(genome, positives if exclude is None else exclude, seed=seed, **changes)
    quotas = share_out(n, positives["split"].value_counts())
    return draw_matched(found, positives, quotas, dict.fromkeys(quotas, sets), seed=seed).assign(
        end=lambda rows: rows["start"] + LENGTH
    )


def test_negatives_keep_every_rule(genome, positives):
    drawn = draw(genome, positives, margin=30)
    assert len(drawn) == 60
    assert drawn["split"].value_counts().to_dict() == {"train": 40, "test": 20}
    assert drawn["split"].astype(str).tolist() == drawn["chrom"].astype(str).map(SPLIT_OF).tolist()
    assert drawn["start"].min() >= 30
    assert drawn["end"].max() <= 40_000 - 30
    for row in drawn.itertuples():
        bases = genome.fetch(row.chrom, row.start, row.end)
        assert bases.count("N") <= 0.1 * LENGTH
        assert row.gc == pytest.approx(gc_of(bases))
        for peak in positives[positives["chrom"] == row.chrom].itertuples():
            assert row.start >= peak.end + 100 or row.end + 100 <= peak.start
    for _, rows in drawn.groupby("chrom", observed=True):
        assert (np.diff(rows["start"]) >= LENGTH).all()


def test_windows_lie_inside_the_parts_of_their_split(genome, positives):
    parts = [(0, 10_000, "train"), (10_000, 10_130, "test"), (10_130, 30_000, "train"), (30_000, 40_000, "test")]
    splits = Splits({"c1": parts}, ["train", "test"])
    found = candidates(genome, positives.iloc[:0], splits=splits, margin=20, max_n_fraction=1.0)
    assert found["split"].astype(str).value_counts().to_dict() == {"train": 199 + 396, "test": 1 + 199}
    for start, end, split in parts:
        rows = found[(found["start"] >= start) & (found["start"] < end)]
        assert (rows["split"] == split).all()
        assert rows["start"].min() >= start + 20
        assert rows["start"].max() + LENGTH <= end - 20


def test_sets_are_disjoint_of_one_size_and_equally_good(genome, positives):
    drawn = draw(genome, positives, sets=4)
    assert drawn["set"].value_counts().to_dict() == dict.fromkeys(range(4), 60)
    assert not drawn.duplicated(["chrom", "start"]).any()
    wanted = np.sort(positives["gc"])
    far = [np.abs(np.sort(rows["gc"]) - wanted).mean() for _, rows in drawn.groupby("set")]
    assert max(far) < 0.02
    assert max(far) < 3 * min(far) + 0.002
    # One set more changes nothing in the number of another split, and nothing is drawn twice at random either
    rows = draw_any(candidates(genome, positives), {"train": 30, "test": 10}, {"train": 3, "test": 1}, seed=1)
    assert rows.groupby(["split", "set"], observed=True).size().tolist() == [30, 30, 30, 10]
    assert not rows.duplicated(["chrom", "start"]).any()


def test_the_nearest_free_is_found_as_a_loop_would(genome):
    rng = np.random.default_rng(9)
    for _ in range(50):
        values = np.sort(rng.integers(0, 12, 30) / 12)
        wanted = rng.integers(0, 12, 25) / 12
        free = np.ones(30, bool)
        for chosen, value in zip(_nearest_free(values, wanted), wanted, strict=True):
            assert free[chosen]
            assert abs(values[chosen] - value) == np.abs(values[free] - value).min()
            free[chosen] = False


def test_gc_content_matches_where_random_windows_do_not(genome, positives):
    drawn = draw(genome, positives)
    for split in ("train", "test"):
        wanted = np.sort(positives.loc[positives["split"] == split, "gc"])
        got = np.sort(drawn.loc[drawn["split"] == split, "gc"])
        assert np.abs(wanted - got).max() <= 0.02 + 1e-9  # one base of 50
    gc, _ = window_content(genome.codes("c3"), np.arange(600, 39_000, LENGTH), LENGTH)
    assert positives["gc"].mean() - gc.mean() > 0.15


def test_the_ratio_holds_in_each_split(genome, positives):
    drawn = draw(genome, positives, n=150)
    assert drawn["split"].value_counts().to_dict() == {"train": 100, "test": 50}
    assert not drawn.duplicated(["chrom", "start"]).any()
    assert len(draw(genome, positives, n=7)) == 7
    assert len(draw(genome, positives, n=0)) == 0


def test_the_same_seed_gives_the_same_whatever_the_order(genome, positives):
    reordered = positives.iloc[::-1].reset_index(drop=True)
    for n in (60, 450):  # with 450 the windows rich in G and C run out, and who comes first matters
        pd.testing.assert_frame_equal(draw(genome, positives, n=n), draw(genome, reordered, n=n, exclude=reordered))
    drawn = draw(genome, positives)
    other = draw(genome, positives, seed=4)
    assert len(drawn.merge(other, on=["chrom", "start"])) < 10


def test_windows_of_equal_gc_content_are_drawn_from_all_over(tmp_path):
    (tmp_path / "even.fa").write_text(f">c1\n{'AC' * 20_000}\n")
    positives = pd.DataFrame({"chrom": "c1", "start": 0, "end": LENGTH, "gc": [0.5] * 100, "split": "train"})
    with Genome(tmp_path / "even.fa", cache_dir=tmp_path) as genome:
        drawn = draw(genome, positives, n=100, splits=Splits({"c1": [(0, 40_000, "train")]}, ["train"]))
    thirds = np.histogram(drawn["start"], bins=3, range=(0, 40_000))[0]
    assert thirds.min() >= 15  # 33 on average; below 15 once in 100,000 draws


def test_windows_may_fill_a_stretch_to_the_last_base(genome, positives):
    taken = pd.DataFrame({"chrom": ["c3", "c3"], "start": [0, 10_000 + 3 * LENGTH], "end": [10_000, 40_000]})
    found = candidates(genome, taken, min_distance=0)
    assert found.loc[found["chrom"] == "c3", "start"].tolist() == [10_000, 10_050, 10_100]


def test_intervals_inside_others_and_before_the_start_are_kept_away_from(genome):
    nested = pd.DataFrame({"chrom": "c3", "start": [-20, 1_000, 2_000, 30_000], "end": [700, 29_000, 3_000, 40_050]})
    found = candidates(genome, nested, min_distance=10)
    starts = found.loc[found["chrom"] == "c3", "start"]
    assert len(starts) == 280 // 50 + 980 // 50
    assert (starts.between(710, 990 - LENGTH) | starts.between(29_010, 29_990 - LENGTH)).all()


@pytest.mark.parametrize("bases_at_once", [2**23, 2 * LENGTH, 1])
def test_windows_are_measured_as_a_loop_would(genome, monkeypatch, bases_at_once):
    monkeypatch.setattr("seqlift.regions.windows._BASES_AT_ONCE", bases_at_once)
    coded = genome.codes("c1")
    starts = np.array([480, 19_990, 20_000, 39_950, 0])
    text = ["".join("ACGTN"[code] for code in coded[start : start + LENGTH]) for start in starts]
    gc, n_fraction = window_content(coded, starts, LENGTH)
    assert n_fraction.tolist() == [bases.count("N") / LENGTH for bases in text]
    assert gc.tolist() == [*(pytest.approx(gc_of(bases)) for bases in text[:-1]), 0.0]
