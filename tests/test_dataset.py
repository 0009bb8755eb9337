"""Sequences of regions, as they are and in training, compared with string slicing."""

import itertools
import pickle
from collections import Counter

import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils.data import DataLoader

from seqlift.data.genome import Genome, encode
from seqlift.data.shuffle import dinucleotide_shuffle
from seqlift.data.signal import Signal
from seqlift.data.windows import load_codes, load_one_hot, one_hot
from seqlift.errors import SeqliftError
from seqlift.training.dataset import EpochOrder, FixedRegions, TrainingRegions

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
    assert np.array_equal(load_one_hot(table, genome, 0).numpy(), encode(codes))
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


JITTER, SEED, WINDOW = 4, 9, 6
PLACES = ["memory", "device"]


def mixed_table(n=60):
    """Peaks on two chromosomes, two sets of negatives, and shuffled negatives in both sets."""
    rows = [("ab"[i % 2], 10 + 3 * i) for i in range(n)]
    table = regions(*rows)
    kind = np.array(["peak", "peak", "genome", "genome", "shuffled", "shuffled"] * n)[:n]
    name = [f"{name}_shuffle{i % 3}" if kind[i] == "shuffled" else name for i, name in enumerate(table["name"])]
    return table.assign(kind=kind, name=name, set=np.where(kind == "peak", 0, np.arange(n) % 2))


def labels_of(table):
    labels = np.arange(2.0 * len(table)).reshape(len(table), 2)
    labels[::7, 1] = np.nan
    return labels


def measured(table, *, strands=2, control_strands=2, margin=JITTER + 1, folder=None):
    """A signal in which no two values are equal."""
    n, width = len(table), WINDOW + 2 * margin
    random = np.random.default_rng(1)

    def array(name, *shape):
        values = random.permutation(np.prod(shape)).reshape(shape).astype(np.float32)
        return values if folder is None else np.memmap(folder / name, np.float32, "w+", shape=shape)

    return Signal(
        values=array("values", n, 2, strands, width),
        control=array("control", n, 2 * control_strands, width) if control_strands else None,
        known=random.random((n, 2)) < 0.7,
        window=WINDOW,
        margin=margin,
        control_strands=control_strands,
    )


def training(genome, table, *, jitter=JITTER, reverse=True, seed=SEED, signal=None, place="memory"):
    data = TrainingRegions(
        table, genome, labels_of(table), jitter=jitter, reverse_complement=reverse, seed=seed, signal=signal
    )
    if place == "device":  # what runs on a GPU, here on the CPU
        data._source.place(torch.device("cpu"))
        assert data.on_device
    return data


def slow(genome, table, signal, epoch, index, *, jitter=JITTER, seed=SEED):
    """A region as training must see it in an epoch, by slicing strings: bases, signal and control."""
    row = table.iloc[index]
    shift = np.random.default_rng([seed, epoch, 1]).integers(-jitter, jitter, len(table), endpoint=True)[index]
    reverse = np.random.default_rng([seed, epoch, 2]).random(len(table))[index] < 0.5
    if row["kind"] == "shuffled":
        shift = 0
        window = load_codes(table.iloc[[index]].assign(kind="peak"), genome, seed=0)
        number = 2**40 + int(row["name"][-1])
        bases = text(dinucleotide_shuffle(window, 1, seed=seed, start=number)[0, 0])
    else:
        bases = genome.fetch(row["chrom"], row["start"] + shift, row["end"] + shift)
    first = signal.margin + shift
    values = signal.values[index][:, :, first : first + WINDOW]
    control = None if signal.control is None else signal.control[index][:, first : first + WINDOW]
    if reverse:
        bases = reverse_complement(bases)
        values = np.stack([target[::-1, ::-1] for target in values])
        if control is not None:
            per_target = control.reshape(-1, signal.control_strands, WINDOW)
            control = np.concatenate([target[::-1, ::-1] for target in per_target])
    return bases, values, control


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(("strands", "control_strands"), [(2, 2), (2, 1), (1, 1), (1, 0)])
def test_every_sample_is_that_of_string_slicing(genome, place, strands, control_strands):
    table = mixed_table()
    signal = measured(table, strands=strands, control_strands=control_strands)
    data = training(genome, table, signal=signal, place=place)
    order = np.random.default_rng(0).permutation(len(table))
    for epoch in range(4):
        batch = data[epoch, order]
        for i, index in enumerate(order):
            bases, values, control = slow(genome, table, signal, epoch, index)
            assert text(batch.codes[i]) == bases
            assert np.array_equal(batch.signal[i].numpy(), values)
            if control_strands:
                assert np.array_equal(batch.control[i].numpy(), control)
        assert (batch.control is None) == (control_strands == 0)
        assert np.array_equal(batch.labels.numpy(), labels_of(table)[order], equal_nan=True)
        assert np.array_equal(batch.known.numpy(), signal.known[order])
    assert batch.codes.dtype == torch.uint8 and batch.labels.dtype == batch.signal.dtype == torch.float32


def same(one, other):
    return all(a is b or torch.equal(torch.nan_to_num(a), torch.nan_to_num(b)) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("place", PLACES)
def test_a_sample_does_not_depend_on_the_batch_it_comes_in(genome, place):
    table = mixed_table()
    data = training(genome, table, signal=measured(table), place=place)
    whole = data[3, np.arange(60)]
    data[4, np.array([0])]
    for index in (17, 3, 59):
        assert same(data[3, np.array([index])], [part[[index]] for part in whole])
    assert not torch.equal(data[4, np.arange(60)].codes, whole.codes)
    assert not torch.equal(
        training(genome, table, seed=10, signal=measured(table))[3, np.arange(60)].codes, whole.codes
    )


def test_shifts_and_strands_are_equally_likely(genome):
    table = regions(*(("a", 10 + 4 * i) for i in range(60)))
    data = training(genome, table)
    seen = Counter()
    for epoch in range(30):
        for row, bases in zip(table.itertuples(), data[epoch, np.arange(60)].codes, strict=True):
            variants = {}
            for shift in range(-JITTER, JITTER + 1):
                plus = genome.fetch(row.chrom, row.start + shift, row.end + shift)
                variants |= {plus: (shift, False), reverse_complement(plus): (shift, True)}
            seen[variants[text(bases)]] += 1
    # 1,800 draws of 18 equally likely variants: 100 +- 10 each
    assert len(seen) == 18 and min(seen.values()) > 50 and max(seen.values()) < 150


def test_without_jitter_and_reverse_complement_nothing_changes(genome):
    table = mixed_table()
    data = training(genome, table, jitter=0, reverse=False)
    assert np.array_equal(data[5, np.arange(60)].codes.numpy(), load_codes(table, genome, seed=SEED))


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("batch_size", [1, 7, 60, 100])
def test_fixed_regions_are_unchanged_and_in_order(genome, place, batch_size):
    table = mixed_table()
    signal = measured(table)
    data = FixedRegions(table, genome, labels_of(table), batch_size=batch_size, seed=SEED, signal=signal)
    if place == "device":
        data._source.place(torch.device("cpu"))
    batches = list(data)
    assert len(batches) == len(data) == -(-60 // batch_size)
    assert [len(batch.codes) for batch in batches[:-1]] == [batch_size] * (len(batches) - 1)
    joined = [torch.cat(parts) for parts in zip(*batches, strict=True)]
    assert np.array_equal(joined[0].numpy(), load_codes(table, genome, seed=SEED))
    assert np.array_equal(joined[1].numpy(), labels_of(table), equal_nan=True)
    inner = slice(signal.margin, signal.margin + WINDOW)
    assert np.array_equal(joined[2].numpy(), signal.values[..., inner])
    assert np.array_equal(joined[3].numpy(), signal.control[..., inner])
    assert np.array_equal(joined[4].numpy(), signal.known)


def test_without_signal_there_is_none(genome):
    table = mixed_table()
    assert training(genome, table)[0, np.arange(3)][2:] == (None, None, None)


def test_a_signal_without_room_for_the_jitter_is_refused(genome):
    table = mixed_table()
    with pytest.raises(SeqliftError, match="margin of 3 bp, too little for a jitter of 4 bp"):
        training(genome, table, signal=measured(table, margin=3))


def test_each_epoch_trains_on_the_peaks_and_the_next_set_of_negatives(genome):
    table = mixed_table().assign(set=lambda t: np.where(t["kind"] == "peak", 0, np.arange(60) % 3))
    data = training(genome, table)
    for epoch in range(7):
        expected = [i for i, row in table.iterrows() if row["kind"] == "peak" or row["set"] == epoch % 3]
        assert data.active(epoch).tolist() == expected
    assert data.epoch_size == min(len(data.active(epoch)) for epoch in range(3)) < len(data) == 60
    assert training(genome, table.drop(columns="set")).active(1).tolist() == list(range(60))


def order_of(data, epoch, **settings):
    order = EpochOrder(data, **{"seed": 1, "batch_size": 7} | settings)
    order.set_epoch(epoch)
    batches = list(order)
    assert len(batches) == len(order) and {number for number, _ in batches} == {epoch}
    return [batch.tolist() for _, batch in batches]


def flat(batches):
    return [index for batch in batches for index in batch]


def test_order_of_an_epoch_is_a_function_of_seed_and_epoch(genome):
    data = training(genome, mixed_table())
    first, second = order_of(data, 0), order_of(data, 1)
    for epoch, batches in enumerate((first, second)):
        assert len(set(flat(batches))) == len(flat(batches)) and set(flat(batches)) <= set(data.active(epoch).tolist())
        assert [len(batch) for batch in batches] == [7] * (data.epoch_size // 7)
    assert first == order_of(data, 0) and first != order_of(data, 0, seed=2)
    positions = [data.active(0).tolist().index(index) for index in flat(first)]
    again = [data.active(1).tolist().index(index) for index in flat(second)]
    assert positions != again
    assert flat(order_of(data, 0, batch_size=3))[:28] == flat(first)[:28]  # whatever the batch size
    assert len(order_of(data, 0, batch_size=100)[0]) == data.epoch_size  # the only one, though small


@pytest.mark.parametrize("batch_size", [2, 8, 100])
def test_processes_share_each_batch(genome, batch_size):
    data = training(genome, mixed_table())
    alone = order_of(data, 3, batch_size=batch_size)
    shares = [order_of(data, 3, batch_size=batch_size, rank=rank, world=2) for rank in range(2)]
    for whole, one, other in zip(alone, *shares, strict=True):
        assert len(one) == len(other) and set(one) | set(other) == set(whole) and not set(one) & set(other)


def test_a_batch_that_processes_cannot_share_is_refused(genome):
    with pytest.raises(SeqliftError, match=r"training.batch_size \(=7\) must be a multiple of the 2 devices"):
        order_of(training(genome, mixed_table()), 0, world=2)


@pytest.mark.parametrize(("workers", "start_method"), [(1, "fork"), (2, "fork"), (2, "spawn")])
def test_worker_processes_change_nothing(genome, workers, start_method):
    table = mixed_table()
    data = training(genome, table, signal=measured(table))
    order = EpochOrder(data, 1, 7)
    order.set_epoch(2)
    alone = list(DataLoader(data, sampler=order, batch_size=None))
    loader = DataLoader(data, sampler=order, batch_size=None, num_workers=workers, multiprocessing_context=start_method)
    shared = list(loader)
    assert len(alone) == len(shared) == len(order)
    assert all(same(one, other) for one, other in zip(alone, shared, strict=True))


def test_a_pickled_copy_maps_the_genome_again(genome):
    data = training(genome, mixed_table())
    assert len(pickle.dumps(data)) < 20_000 + len(genome.encoded) // 2
    assert same(pickle.loads(pickle.dumps(data))[1, np.arange(9)], data[1, np.arange(9)])
