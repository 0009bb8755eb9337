"""The simulated experiment is the one it claims to be: classes, sites, matrices, placements, background and files."""

import itertools
import json
from collections import Counter

import numpy as np
import pytest
from Bio import motifs as bio_motifs
from scipy.stats import binomtest, chisquare

from seqlift.cli import main
from seqlift.data.genome import Genome
from seqlift.data.intervals import read_peaks
from seqlift.data.simulate import BACKGROUND, CLASSES, Motif, _plant, read_simulation, simulate
from seqlift.errors import SeqliftError

FILES = {"genome.fa", "both.bed", "GATA1.bed", "TAL1.bed", "truth.bed", "motifs.meme", "simulation.json"}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """2,000 sequences: the simulation, its regions by name, the sites in each, and its genome."""
    folder = tmp_path_factory.mktemp("a simulation")
    simulation = simulate(folder, seed=7, n_sequences=2000)
    description = json.loads((folder / "simulation.json").read_text())
    regions = {row[0]: dict(zip(description["columns"], row, strict=True)) for row in description["regions"]}
    sites = {name: [] for name in regions}
    by_chrom = {}
    for name, region in regions.items():
        by_chrom.setdefault(region["chrom"], []).append((region["start"], region["end"], name))
    for site in read_peaks(folder / "truth.bed").itertuples():
        homes = [name for start, end, name in by_chrom[site.chrom] if start <= site.start and site.end <= end]
        assert len(homes) == 1, f"site at {site.chrom}:{site.start} lies in {len(homes)} sequences"
        sites[homes[0]].append(site)
    with Genome(folder / "genome.fa", cache_dir=folder / "cache") as genome:
        chromosomes = {chrom: genome.codes(chrom) for chrom in genome.sizes}
    return simulation, regions, sites, chromosomes


def test_same_seed_same_bytes(tmp_path):
    for folder, seed in (("a", 3), ("b", 3), ("c", 4)):
        simulate(tmp_path / folder, seed=seed, n_sequences=40)
    assert {path.name for path in (tmp_path / "a").iterdir()} == FILES
    for name in FILES:
        content = (tmp_path / "a" / name).read_bytes()
        assert content == (tmp_path / "b" / name).read_bytes()
        assert (content == (tmp_path / "c" / name).read_bytes()) == (name == "motifs.meme")


def test_classes_are_balanced_over_the_sequences_and_the_contigs(made):
    _, regions, _, chromosomes = made
    assert Counter(region["class"] for region in regions.values()) == dict.fromkeys(CLASSES, 500)
    per_contig = Counter((region["chrom"], region["class"]) for region in regions.values())
    assert list(chromosomes) == [f"sim{i}" for i in range(1, 11)]
    assert set(per_contig.values()) == {50}
    # and they come in random order: neighbours are of one class as often as by chance (49 of 199)
    order = [region["class"] for region in regions.values()]
    same = sum(a == b for a, b in itertools.pairwise(order))
    assert binomtest(same, len(order) - 1, 49 / 199).pvalue > 1e-4


def test_sequences_are_apart_and_inside_the_contigs(made):
    _, regions, _, chromosomes = made
    for chrom, codes in chromosomes.items():
        inside = sorted((r["start"], r["end"]) for r in regions.values() if r["chrom"] == chrom)
        edges = [0, *itertools.chain.from_iterable(inside), len(codes)]
        assert [b - a for a, b in itertools.pairwise(edges)] == [600, 200] * len(inside) + [600]


def test_each_class_holds_its_motifs_one_to_three_times_apart_from_each_other(made):
    _, regions, sites, _ = made
    counts = {"GATA1": [], "TAL1": []}
    for name, region in regions.items():
        here = Counter(site.name for site in sites[name])
        assert set(here) == set(CLASSES[region["class"]])
        assert all(1 <= n <= 3 for n in here.values())
        for motif, n in here.items():
            counts[motif].append(n)
        ends = [(site.start, site.end) for site in sorted(sites[name], key=lambda site: site.start)]
        assert all(a[1] <= b[0] for a, b in itertools.pairwise(ends))
    for each in counts.values():
        assert chisquare([each.count(n) for n in (1, 2, 3)]).pvalue > 1e-4


def test_sites_are_drawn_from_the_matrix_on_either_strand(made):
    simulation, _, sites, chromosomes = made
    assert {name: (m.jaspar_id, m.jaspar_name, m.width) for name, m in simulation.motifs.items()} == {
        "GATA1": ("MA0035.3", "Gata1", 11),
        "TAL1": ("MA0091.1", "TAL1::TCF3", 12),
    }
    everything = [site for here in sites.values() for site in here]
    for name, motif in simulation.motifs.items():
        instances, strands = [], []
        for site in everything:
            if site.name == name:
                instance = chromosomes[site.chrom][site.start : site.end]
                instances.append(instance if site.strand == "+" else 3 - instance[::-1])
                strands.append(site.strand)
        assert binomtest(strands.count("+"), len(strands), 0.5).pvalue > 1e-4
        instances = np.array(instances)
        for i, expected in enumerate(motif.probabilities.T):
            seen = np.bincount(instances[:, i], minlength=4)
            assert not seen[expected == 0].any()  # no pseudocount
            if (expected > 0).sum() > 1:
                assert chisquare(seen[expected > 0], len(instances) * expected[expected > 0]).pvalue > 1e-5


def test_everything_else_is_background(made):
    _, _, sites, chromosomes = made
    free = {chrom: np.ones(len(codes), bool) for chrom, codes in chromosomes.items()}
    for site in itertools.chain.from_iterable(sites.values()):
        free[site.chrom][site.start : site.end] = False
    codes = np.concatenate([chromosomes[chrom][free[chrom]] for chrom in chromosomes])
    assert chisquare(np.bincount(codes, minlength=4), len(codes) * np.array(BACKGROUND)).pvalue > 1e-4
    pairs = np.bincount(codes[:-1] * 4 + codes[1:], minlength=16)
    expected = np.outer(BACKGROUND, BACKGROUND).ravel() * pairs.sum()
    assert chisquare(pairs, expected).pvalue > 1e-4


def test_all_placements_are_equally_likely():
    """Two motifs of 2 and 3 bp in 15 bp: every placement of each count of instances comes as often as the others."""
    one, other = (Motif(name, "", "", np.ones((4, width))) for name, width in (("one", 2), ("other", 3)))
    rng = np.random.default_rng(0)
    seen = Counter()
    for _ in range(30_000):
        planted = _plant(np.zeros(15, np.uint8), [one, other], rng)
        seen[tuple((at, motif.name) for at, motif, _ in planted)] += 1

    def placements(start, left):
        if not any(left.values()):
            yield ()
        for at in range(start, 15):
            for motif in (one, other):
                if left[motif.name] and at + motif.width <= 15:
                    rest = left | {motif.name: left[motif.name] - 1}
                    yield from (((at, motif.name), *others) for others in placements(at + motif.width, rest))

    p_values = []
    for n_one, n_other in itertools.product((1, 2, 3), repeat=2):
        possible = set(placements(0, {"one": n_one, "other": n_other}))
        counts = [n for key, n in seen.items() if Counter(name for _, name in key) == {"one": n_one, "other": n_other}]
        assert sum(counts) > 3000  # a ninth of all
        if len(possible) < 300:
            assert len(counts) == len(possible)
            p_values.append(chisquare(counts).pvalue)
    assert len(p_values) >= 4 and min(p_values) > 1e-4


def test_peak_files_are_the_targets(made):
    simulation, regions, sites, _ = made
    for target, wanted in simulation.targets.items():
        peaks = read_peaks(simulation.folder / f"{target}.bed")
        assert list(peaks["name"]) == [name for name, r in regions.items() if set(wanted) <= set(CLASSES[r["class"]])]
        for peak in peaks.itertuples():
            region = regions[peak.name]
            assert (peak.chrom, peak.start, peak.end) == (region["chrom"], region["start"], region["end"])
            assert peak.score == sum(site.name in wanted for site in sites[peak.name])


def test_motif_file_holds_the_matrices(made):
    simulation = made[0]
    assert "MOTIF MA0091.1 TAL1::TCF3\n" in (simulation.folder / "motifs.meme").read_text()
    with open(simulation.folder / "motifs.meme") as file:
        read = bio_motifs.parse(file, "minimal")
    assert read.background == dict(zip("ACGT", BACKGROUND, strict=True))
    for motif, found in zip(simulation.motifs.values(), read, strict=True):
        assert found.name == motif.jaspar_id
        shares = np.array([found.pwm[base] for base in "ACGT"])
        np.testing.assert_allclose(shares, motif.probabilities, atol=1e-5)


def test_other_lengths_and_sizes(tmp_path):
    simulation = simulate(tmp_path, seed=0, n_sequences=4, length=69)  # as tight as it can be
    assert simulation.length == 69
    assert len(read_peaks(tmp_path / "both.bed")) == 1


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--seed", "1", "--sequences", "10"], "`sequences` (=10)"),
        (["--seed", "1", "--sequences", "0"], "`sequences` (=0)"),
        (["--seed", "1", "--length", "68"], "length (=68) must be at least 69 bp"),
        (["--seed", "-1"], "`seed` (=-1)"),
    ],
)
def test_wrong_numbers_are_named_and_nothing_is_written(tmp_path, capsys, flags, words):
    folder = tmp_path / "out"
    assert main(["simulate", "--output-dir", str(folder), *flags]) == 1
    assert words in capsys.readouterr().err
    assert not folder.exists()


def test_command_says_where_the_files_are(tmp_path, capsys):
    assert main(["simulate", "--output-dir", str(tmp_path / "x y"), "--seed", "1", "--sequences", "40"]) == 0
    assert str(tmp_path / "x y") in capsys.readouterr().out
    assert {path.name for path in (tmp_path / "x y").iterdir()} == FILES


def test_what_is_no_simulation_is_refused(tmp_path):
    with pytest.raises(SeqliftError, match=r"No such file.*seqlift simulate"):
        read_simulation(tmp_path)
    (tmp_path / "simulation.json").write_text('{"format": "something else"}')
    with pytest.raises(SeqliftError, match="format is 'something else'"):
        read_simulation(tmp_path)
    (tmp_path / "simulation.json").write_text('{"format": "seqlift simulation 1"}')
    with pytest.raises(SeqliftError, match="motifs"):
        read_simulation(tmp_path)
