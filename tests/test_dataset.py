"""Sequences of regions and their altered copies, held against string slicing."""

import itertools
from collections import Counter

import numpy as np
import pandas as pd
import pytest
import torch

from seqlift.dataset import AugmentedRegions, EpochOrder, load_codes, load_one_hot, one_hot
from seqlift.errors import SeqliftError
from seqlift.genome import Genome, one_hot_batch

LENGTH = 12


@pytest.fixture
def genome(tmp_path):
    random = np.random.default_rng(3)
    chromosomes = {name: "".join(random.choice(list("ACGT"), size)) for name, size in (("a", 300), ("b", 200))}
    chromosomes["b"] = chromosomes["b"][:95] + "NNNN" + chromosomes["b"][99:]
    path = tmp_path / "genome.fa"
    path.write_text("".join(f">{name}\n{bases}\n" for name, bases in chromosomes.items()))
    with Genome(path, cache_dir=tmp_path / "cache") as opened:
        yield opened


def regions(*rows, kind="peak"):
    table = pd.DataFrame([(chrom, start, start + LENGTH) for chrom, start in rows], columns=["chrom", "start", "end"])
    names = [f"{chrom}:{start}" + ("_shuffle0" if kind == "shuffled" else "") for chrom, start in rows]
    return table.assign(name=names, kind=kind)


def text(codes):
    return "".join("ACGTN"[code] for code in codes)


def reverse_complement(bases):
    return bases[::-1].translate(str.maketrans("ACGT", "TGCA"))


@pytest.mark.parametrize("margin", [0, 7])
def test_codes_are_the_bases_of_the_genome_in_the_order_of_the_rows(genome, margin):
    table = regions(("b", 90), ("a", 7), ("b", 181), ("a", 250), ("a", 281))
    codes = load_codes(table, genome, margin=margin, seed=0)
    expected = [genome.fetch(row.chrom, row.start - margin, row.end + margin) for row in table.itertuples()]
    assert [text(row) for row in codes] == expected
    assert "NNNN" in expected[0]


def test_one_hot_is_that_of_the_genome(genome):
    table = regions(("b", 90), ("a", 0))
    codes = load_codes(table, genome, seed=0)
    assert np.array_equal(load_one_hot(table, genome, 0).numpy(), one_hot_batch(codes))
    assert one_hot(torch.from_numpy(codes)).dtype == torch.float32


@pytest.mark.parametrize("start", [6, 300 - LENGTH - 6])
def test_regions_without_room_for_the_jitter_are_refused(genome, start):
    with pytest.raises(SeqliftError, match=rf"1 regions of a \(first: a:{start}, .* jitter of 7 bp"):
        load_codes(regions(("a", 100), ("a", start)), genome, margin=7, seed=0)


def test_regions_of_different_length_are_refused(genome):
    table = regions(("a", 100), ("a", 120))
    table.loc[1, "end"] += 1
    with pytest.raises(SeqliftError, match="same length"):
        load_codes(table, genome, seed=0)


def test_shuffled_regions_hold_the_dinucleotides_of_their_window(genome):
    def dinucleotides(bases):
        return Counter(itertools.pairwise(bases))

    windows = regions(*(("a", start) for start in range(0, 289, 12)))  # up to both ends of the chromosome
    table = regions(*(("a", start) for start in range(0, 289, 12)), kind="shuffled")
    plain = load_codes(windows, genome, seed=1)
    shuffled = load_codes(table, genome, margin=5, seed=1)
    assert (shuffled[:, :5] == 4).all() and (shuffled[:, -5:] == 4).all()
    inner = shuffled[:, 5:-5]
    assert [dinucleotides(row) for row in inner.tolist()] == [dinucleotides(row) for row in plain.tolist()]
    assert (inner != plain).any(axis=1).sum() > 10
    assert not np.array_equal(inner, load_codes(table, genome, seed=2))


def test_a_shuffled_region_does_not_depend_on_the_others(genome):
    peaks = regions(("a", 40), ("b", 30))
    copies = pd.concat([regions(("a", 40), ("b", 30), kind="shuffled")] * 3, ignore_index=True)
    copies["name"] = [f"copy_shuffle{k}" for k in (0, 0, 1, 1, 12, 12)]
    table = pd.concat([peaks, copies], ignore_index=True)
    codes = load_codes(table, genome, seed=1)
    assert len({text(row) for row in codes[[2, 4, 6]]}) > 1
    order = np.random.default_rng(0).permutation(len(table))
    assert np.array_equal(load_codes(table.iloc[order], genome, seed=1), codes[order])
    for i in range(len(table)):
        assert np.array_equal(load_codes(table.iloc[[i]], genome, seed=1)[0], codes[i])


def test_a_shuffled_region_without_number_is_refused(genome):
    with pytest.raises(SeqliftError, match="'x' is of kind 'shuffled'"):
        load_codes(regions(("a", 40)).assign(kind="shuffled", name="x"), genome, seed=1)


def augmented(genome, *, jitter=4, turn=True, seed=9, fixed=(), n=60):
    table = regions(*(("a", 10 + 4 * i) for i in range(n)))
    data = AugmentedRegions(
        load_codes(table, genome, margin=jitter, seed=0),
        np.arange(2 * n).reshape(n, 2),
        jitter=jitter,
        reverse_complement=turn,
        fixed=np.isin(np.arange(n), fixed),
        seed=seed,
    )
    return table, data


def variants(genome, row, jitter):
    """What a region may look like: sequence -> (shift, turned)."""
    found = {}
    for shift in range(-jitter, jitter + 1):
        bases = genome.fetch(row.chrom, row.start + shift, row.end + shift)
        found[bases] = (shift, False)
        found[reverse_complement(bases)] = (shift, True)
    return found


def test_augmented_regions_are_moved_and_turned_copies(genome):
    table, data = augmented(genome)
    seen = Counter()
    for epoch in range(30):
        codes, labels = data.__getitems__([(epoch, i) for i in range(len(table))])
        assert torch.equal(labels, torch.arange(120, dtype=torch.float32).reshape(60, 2))
        for row, bases in zip(table.itertuples(), codes, strict=True):
            seen[variants(genome, row, 4)[text(bases)]] += 1
    # 1,800 draws of 18 equally likely variants: 100 +- 10 each
    assert len(seen) == 18 and min(seen.values()) > 50 and max(seen.values()) < 150


def test_a_sample_is_a_function_of_seed_epoch_and_index(genome):
    _, data = augmented(genome)
    whole, _ = data.__getitems__([(3, i) for i in range(60)])
    data.__getitems__([(4, 0)])
    for index in (17, 3, 59):
        assert torch.equal(data.__getitems__([(3, index)])[0][0], whole[index])
    assert torch.equal(augmented(genome)[1].__getitems__([(3, i) for i in range(60)])[0], whole)
    assert torch.equal(augmented(genome, n=20)[1].__getitems__([(3, i) for i in range(20)])[0], whole[:20])
    assert not torch.equal(data.__getitems__([(4, i) for i in range(60)])[0], whole)
    assert not torch.equal(augmented(genome, seed=10)[1].__getitems__([(3, i) for i in range(60)])[0], whole)


def test_without_jitter_and_turning_nothing_is_altered(genome):
    table, data = augmented(genome, jitter=0, turn=False)
    codes, _ = data.__getitems__([(5, i) for i in range(60)])
    assert np.array_equal(codes.numpy(), load_codes(table, genome, seed=0))


def test_fixed_regions_stay_in_place(genome):
    table, data = augmented(genome, fixed=(2, 5))
    for epoch in range(10):
        codes, _ = data.__getitems__([(epoch, 2), (epoch, 5)])
        for index, bases in zip((2, 5), codes, strict=True):
            here = genome.fetch("a", table.start[index], table.end[index])
            assert text(bases) in (here, reverse_complement(here))


def test_order_of_an_epoch_is_a_function_of_seed_and_epoch():
    order = EpochOrder(50, seed=1)
    first = list(order)
    order.set_epoch(1)
    second = list(order)
    assert [epoch for epoch, _ in second] == [1] * 50
    assert sorted(index for _, index in second) == list(range(50))
    assert [index for _, index in first] != [index for _, index in second]
    again = EpochOrder(50, seed=1)
    again.set_epoch(1)
    assert list(again) == second and len(again) == 50
    assert list(EpochOrder(50, seed=2)) != first
