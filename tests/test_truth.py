"""The comparison with the planted truth, against brute force, scikit-learn and cases whose answer is known."""

import gzip
import itertools
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from fixtures.hits import write_folder
from fixtures.motif import write_scores as write_score_file
from seqlift.cli import main
from seqlift.data.genome import Genome
from seqlift.data.simulate import BACKGROUND, CLASSES, TARGETS, Motif, Simulation, simulate
from seqlift.errors import SeqliftError
from seqlift.motifs.folder import MotifFolder, read_motifs
from seqlift.motifs.hits.call import COLUMNS as HIT_COLUMNS
from seqlift.motifs.hits.call import call_hits, read_hits
from seqlift.scores.file import create_scores, open_scores
from seqlift.truth.comparison import compare_contributions, compare_models, compare_with_truth, leading_patterns
from seqlift.truth.hits import compare_hits
from seqlift.truth.likelihood import likelihood_ratios, site_ratio


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    """Keep the index of the genome out of the cache in the home folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def made(tmp_path_factory, cache):
    """A simulation, and its sequences as a table of regions: one class after the other in train, valid and test."""
    simulation = simulate(tmp_path_factory.mktemp("made") / "simulation", seed=5, n_sequences=2000)
    description = json.loads((simulation.folder / "simulation.json").read_text())
    table = pd.DataFrame(description["regions"], columns=description["columns"])
    for target, wanted in TARGETS.items():
        table[f"target:{target}"] = [int(set(wanted) <= set(CLASSES[each])) for each in table["class"]]
    with Genome(simulation.folder / "genome.fa") as genome:
        sequences = np.stack([genome.codes(row.chrom)[row.start : row.end] for row in table.itertuples()])
    split = {"sim1": "train", "sim2": "valid"}
    regions = table.assign(
        strand=".",
        summit=table["start"] + 100,
        kind=np.where(table["class"] == "none", "genome", "peak"),
        split=table["chrom"].map(split).fillna("test"),
        set=0,
        score="",
        gc=((sequences == 1) | (sequences == 2)).mean(axis=1).round(4),
        source="",
    )
    order = ["chrom", "start", "end", "name", "strand", "summit", "kind", "split", "set", "score", "gc", "source"]
    return simulation, regions[[*order, *(f"target:{target}" for target in TARGETS)]], sequences


def write_table(table, path):
    table.to_csv(path, sep="\t", index=False, compression="gzip")
    return path


def predictions_of(regions, logits):
    columns = ["chrom", "start", "end", "name", "split", *(f"target:{target}" for target in TARGETS)]
    table = regions[columns].assign(**{f"logit:{target}": logit for target, logit in logits.items()})
    return table[table["split"] != "train"].sample(frac=1, random_state=0)  # their order must not matter


def test_likelihood_ratios_equal_the_sum_over_everything_that_could_have_been_planted():
    """Brute force: all counts, all placements, both strands, for two motifs of 2 and 3 bp in 14 bp."""
    rng = np.random.default_rng(0)
    small = {
        "one": Motif("one", "", "", rng.integers(0, 9, (4, 2)) + 0.5),
        "other": Motif("other", "", "", np.array([[9, 0, 2], [1, 5, 0], [0, 5, 0], [0, 0, 8.0]])),
    }
    background = np.array(BACKGROUND)
    targets = {"all": ("one", "other"), "one": ("one",), "other": ("other",)}
    simulation = Simulation(Path(), small, targets, background, 14, 2)
    sequences = rng.integers(0, 4, (20, 14)).astype(np.uint8)

    def likelihood(sequence, motif, at, strand):
        window = sequence[at : at + motif.width]
        window = window if strand == "+" else 3 - window[::-1]
        # The chance of a base and of its complement are equal in the background, so either strand may be used
        return np.prod([motif.probabilities[base, i] / background[base] for i, base in enumerate(window)])

    def placements(start, left):
        if not left:
            yield []
        for at in range(start, 14):
            for name in set(left):
                if at + small[name].width <= 14:
                    rest = list(left)
                    rest.remove(name)
                    yield from ([(at, name), *others] for others in placements(at + small[name].width, rest))

    for i, sequence in enumerate(sequences[:6]):
        of_subset = {(): 1.0}
        for subset in [("one",), ("other",), ("one", "other")]:
            means = []
            for counts in itertools.product((1, 2), repeat=len(subset)):
                left = [name for name, n in zip(subset, counts, strict=True) for _ in range(n)]
                terms = [
                    np.prod([likelihood(sequence, small[name], at, strand) for (at, name), strand in choice])
                    for placed in placements(0, left)
                    for choice in itertools.product(*[[(site, "+"), (site, "-")] for site in placed])
                ]
                means.append(np.mean(terms))
            of_subset[subset] = np.mean(means)
        found = likelihood_ratios(sequences, simulation)
        for target, wanted in targets.items():
            inside = sum(value for subset, value in of_subset.items() if set(wanted) <= set(subset))
            outside = sum(value for subset, value in of_subset.items() if not set(wanted) <= set(subset))
            assert found[target][i] == pytest.approx(inside / outside, rel=1e-9)


def test_nothing_beats_the_likelihood_ratio(made):
    simulation, regions, sequences = made
    best = likelihood_ratios(sequences, simulation)
    for target, motif in simulation.motifs.items():
        positive = regions[f"target:{target}"] == 1
        sites = site_ratio(sequences, motif, simulation.background)
        auroc = roc_auc_score(positive, best[target])
        assert roc_auc_score(positive, sites.max(axis=1)) < auroc
        assert roc_auc_score(positive, sites.mean(axis=1)) < auroc
        # A calibrated ratio: of the sequences it calls likelier than not by odds of p : 1-p, p are positive
        chance = best[target] / (1 + best[target])
        assert chance.mean() == pytest.approx(positive.mean(), abs=0.01)
        unsure = (chance > 0.2) & (chance < 0.8)
        assert unsure.sum() > 20
        assert positive[unsure].mean() == pytest.approx(chance[unsure].mean(), abs=0.15)


def test_models_beside_the_best(made, tmp_path):
    simulation, regions, sequences = made
    rng = np.random.default_rng(1)
    logits = {target: regions[f"target:{target}"] + rng.normal(size=len(regions)) for target in TARGETS}
    found = compare_models(
        simulation,
        write_table(regions, tmp_path / "regions.tsv.gz"),
        write_table(predictions_of(regions, logits), tmp_path / "predictions.tsv.gz"),
    )
    test = (regions["split"] == "test").to_numpy()
    best = likelihood_ratios(sequences, simulation)
    assert list(found) == ["both", "GATA1", "TAL1"]
    for target, numbers in found.items():
        positive = regions[f"target:{target}"][test]
        assert numbers["auroc_best"] == pytest.approx(roc_auc_score(positive, best[target][test]))
        assert numbers["auroc_model"] == pytest.approx(roc_auc_score(positive, logits[target][test]))
        assert numbers["difference"] == numbers["auroc_best"] - numbers["auroc_model"]
        assert (numbers["positives"], numbers["negatives"]) == (positive.sum(), (1 - positive).sum())
    # 13.6 and 14.1 bits among 200 bases and two strands: hard to miss, harder to find by chance
    assert 0.985 < found["GATA1"]["auroc_best"] < found["TAL1"]["auroc_best"] < 0.9995


def test_background_masked_labels_and_folds(made, tmp_path):
    """Background has weights, masked labels are left out, and of folds every region is held out."""
    simulation, regions, _ = made
    rng = np.random.default_rng(1)
    logits = {target: regions[f"target:{target}"] + rng.normal(size=len(regions)) for target in TARGETS}
    folds = regions.assign(split="fold0").astype({f"target:{target}": object for target in TARGETS})
    chosen = folds.index[folds["kind"] == "genome"][:50]
    folds.loc[chosen, "kind"] = "background"
    masked = folds.index[(folds["kind"] == "genome")][:70]
    folds.loc[masked, "target:GATA1"] = ""
    predictions = regions[["chrom", "start", "end", "name"]].assign(**{f"logit:{t}": x for t, x in logits.items()})
    found = compare_models(
        simulation,
        write_table(folds, tmp_path / "regions.tsv.gz"),
        write_table(predictions, tmp_path / "predictions.tsv.gz"),
    )
    for target, without in (("TAL1", chosen), ("GATA1", chosen.union(masked))):
        kept = regions.index.difference(without)
        expected = roc_auc_score(regions.loc[kept, f"target:{target}"], logits[target][kept])
        assert found[target]["auroc_model"] == pytest.approx(expected)
        assert found[target]["positives"] + found[target]["negatives"] == len(kept)


def test_longer_windows_have_the_same_best(made, tmp_path):
    simulation, regions, _ = made
    predictions = write_table(predictions_of(regions, dict.fromkeys(TARGETS, 0.0)), tmp_path / "predictions.tsv.gz")
    wide = regions.assign(start=regions["start"] - 100, end=regions["end"] + 100)
    results = [
        compare_models(simulation, write_table(table, tmp_path / f"{name}.tsv.gz"), predictions)
        for name, table in (("regions", regions), ("wide", wide))
    ]
    assert results[0] == results[1]
    assert results[0]["both"]["auroc_model"] == 0.5  # all the same logit


def write_scores(path, regions, contributions, *, target="GATA1", method="deeplift"):
    n, _, length = contributions.shape
    attributes = {"target": target, "method": method}
    with create_scores(path, regions, length=length, attributes=attributes) as file:
        file.append(
            sequences=contributions != 0,
            hypothetical=contributions,
            contributions=contributions,
            prediction=np.zeros(n),
            n_references=np.ones(n),
            delta=np.zeros((n, 1)),
            reference_prediction=np.zeros((n, 1)),
            standard_error=np.zeros((n, length)),
        )
    return path


def planted(simulation, regions, motifs):
    """Mask (N, L) of the bases inside planted sites, by looking at every site for every region."""
    sites = [line.split("\t") for line in (simulation.folder / "truth.bed").read_text().splitlines()]
    mask = np.zeros((len(regions), int(regions["end"].iloc[0] - regions["start"].iloc[0])), bool)
    for row, region in zip(mask, regions.itertuples(), strict=True):
        for chrom, start, end, name, *_ in sites:
            if chrom == region.chrom and name in motifs:
                a, b = int(start) - region.start, int(end) - region.start
                if b > 0:
                    row[max(0, a) : b] = True
    return mask


@pytest.mark.parametrize("target", list(TARGETS))
def test_contributions_against_the_sites_of_the_target(made, tmp_path, target):
    simulation, regions, _ = made
    # Windows that cut sites, overlap, and come in no order
    some = regions.sample(60, random_state=3).copy()
    some["start"] += np.random.default_rng(0).integers(-150, 150, len(some))
    some["end"] = some["start"] + 200
    mask = planted(simulation, some, TARGETS[target])
    assert 0.01 < mask.mean() < 0.3
    rng = np.random.default_rng(2)
    size = mask + rng.exponential(size=mask.shape)
    contributions = np.zeros((len(some), 4, 200), np.float32)
    base = rng.integers(0, 4, mask.shape)
    np.put_along_axis(contributions, base[:, None], (size * rng.choice([-1, 1], mask.shape))[:, None], axis=1)
    key, found = compare_contributions(simulation, write_scores(tmp_path / "s.h5", some, contributions, target=target))
    assert key == f"{target}.deeplift"
    size = np.abs(contributions).max(axis=1)
    assert found["auroc"] == pytest.approx(roc_auc_score(mask.ravel(), size.ravel()), abs=1e-9)
    assert found["auprc"] == pytest.approx(average_precision_score(mask.ravel(), size.ravel()), abs=1e-9)
    assert (found["regions"], found["bases"], found["inside"]) == (60, 12000, mask.sum())


def test_perfect_scores_reach_one_and_sites_of_the_other_motif_count_against(made, tmp_path):
    simulation, regions, _ = made
    both = regions[regions["target:both"] == 1].head(20)
    gata = planted(simulation, both, ("GATA1",))
    tal = planted(simulation, both, ("TAL1",))
    for mask, expected in ((gata, 1.0), (tal, 0.5 * (1 - tal.sum() / (~gata).sum()))):
        contributions = np.zeros((20, 4, 200), np.float32)
        contributions[:, 2] = mask
        _, found = compare_contributions(simulation, write_scores(tmp_path / "s.h5", both, contributions))
        assert found["auroc"] == pytest.approx(expected)


def motif_folder(folder, rows, message=""):
    """The table and the summary of a motif folder."""
    columns = ["pattern", "seqlets", "name", "match_id", "p"]
    table = pd.DataFrame(rows, columns=columns).astype({"seqlets": int})
    return MotifFolder(folder, {"target": "TAL1", "method": "deeplift", "message": message}, table, [])


def test_leading_patterns(tmp_path):
    rows = [
        ("pos_0", "400", "TAL1::TCF3", "MA0091.1", "1e-7"),
        ("pos_1", "30", "", "", ""),
        ("neg_0", "20", "Gata1", "MA0035.3", "1e-5"),
    ]
    assert leading_patterns(motif_folder(tmp_path, rows))["leading"] == [
        {"pattern": "pos_0", "seqlets": 400, "name": "TAL1::TCF3", "match_id": "MA0091.1", "p": 1e-7},
        {"pattern": "pos_1", "seqlets": 30, "name": "", "match_id": "", "p": None},
    ]
    found = leading_patterns(motif_folder(tmp_path, [], "no seqlets were found"))
    assert found == {"leading": [], "message": "no seqlets were found"}


@pytest.fixture(scope="module")
def explained(made, tmp_path_factory):
    """Scores of GATA1's regions by the weights of the true motif, at its planted sites alone, with motifs and hits."""
    simulation, regions, _ = made
    folder = tmp_path_factory.mktemp("explained")
    some = regions[regions["target:GATA1"] == 1].head(120).reset_index(drop=True)
    with Genome(simulation.folder / "genome.fa") as genome:
        codes = np.stack([genome.codes(row.chrom)[row.start : row.end] for row in some.itertuples()])
    sequences = (codes[:, None, :] == np.arange(4)[None, :, None]).astype(np.int8)
    motif = simulation.motifs["GATA1"]
    weights = np.log2((motif.probabilities + 0.01) / 1.04 / simulation.background[:, None])
    hypothetical = np.random.default_rng(0).normal(0, 0.02, sequences.shape)
    seqlets = []
    for line in (simulation.folder / "truth.bed").read_text().splitlines():
        chrom, start, end, name, _, strand = line.split("\t")
        for row in some.index[(some["chrom"] == chrom) & (some["start"] <= int(start)) & (some["end"] >= int(end))]:
            if name == "GATA1":
                at = int(start) - some["start"][row]
                hypothetical[row, :, at : at + 11] += weights if strand == "+" else weights[::-1, ::-1]
                seqlets.append((row, at, strand == "-"))
    path = write_score_file(folder / "GATA1.deeplift.h5", some, sequences, hypothetical, target="GATA1")
    pattern = {"name": "pos_0", "seqlets": seqlets, "width": 11, "start": 0, "end": 11, "flipped": True}
    motifs = write_folder(folder / "deeplift", path, [pattern])
    call_hits(path, motifs, motifs)
    return path, motifs, some, seqlets


def test_hits_against_the_planted_sites(made, explained):
    simulation, _, _ = made
    path, motifs, some, seqlets = explained
    with open_scores(path) as scores:
        found = compare_hits(simulation, read_motifs(motifs), scores)
    hits = read_hits(motifs / "hits.bed.gz")
    sites = {(some["chrom"][row], some["start"][row] + at) for row, at, _ in seqlets}
    assert (found["sites"], found["calls"]) == (len(sites), len(hits))
    exact = sum((hit.chrom, hit.start) in sites for hit in hits.itertuples())
    assert found["precision"] * len(hits) == pytest.approx(found["recall"] * len(sites))
    assert exact <= found["recall"] * len(sites) + 1e-9 <= exact + 0.03 * len(sites)  # or moved by a base or two
    assert found["precision"] > 0.98 and found["recall"] > 0.9
    # Only hits know which matches are used; among scans, the ratio of the true likelihoods is the best
    for scan in found["scans"].values():
        assert (scan["sites"], scan["calls"]) == (len(sites), len(hits))
        assert 0.8 < scan["precision"] < found["precision"]
    assert found["scans"]["best"]["precision"] >= found["scans"]["pfm"]["precision"] - 0.01


def test_hits_that_are_elsewhere_or_of_another_motif_are_wrong(made, explained, tmp_path):
    simulation, _, _ = made
    path, motifs, _, _ = explained
    shutil.copytree(motifs, tmp_path / "motifs")
    table = read_hits(motifs / "hits.bed.gz").rename(columns={"chrom": "#chrom"})

    def judged(changed):
        changed[HIT_COLUMNS].to_csv(tmp_path / "motifs" / "hits.bed.gz", sep="\t", index=False)
        with open_scores(path) as scores:
            return compare_hits(simulation, read_motifs(tmp_path / "motifs"), scores)

    right = judged(table)["recall"]
    near = judged(table.assign(start=table["start"] + 5, end=table["end"] + 5))  # 6 of 11 bp
    assert near["recall"] == pytest.approx(right, abs=0.03)
    far = judged(table.assign(start=table["start"] + 6, end=table["end"] + 6))  # 5 of 11 bp
    assert far["recall"] < 0.1
    twice = judged(pd.concat([table, table]))
    assert (twice["recall"], twice["precision"]) == (right, pytest.approx(judged(table)["precision"] / 2))
    none = judged(table.head(0))
    assert (none["calls"], none["precision"], none["recall"]) == (0, None, 0)
    assert none["scans"]["best"]["calls"] == 0
    assert judged(table.assign(chrom="elsewhere", **{"#chrom": "elsewhere"}))["recall"] == 0
    # The same hits among those of TAL1: the pattern is GATA1, whose sites are then background
    about = json.loads((motifs / "motifs.json").read_text())
    (tmp_path / "motifs" / "motifs.json").write_text(json.dumps({**about, "target": "TAL1"}))
    assert judged(table)["precision"] == 0
    (tmp_path / "motifs" / "hits.bed.gz").unlink()
    with (
        pytest.raises(SeqliftError, match=r"hits\.bed\.gz: no such file; `seqlift hits` makes it"),
        open_scores(path) as scores,
    ):
        compare_hits(simulation, read_motifs(tmp_path / "motifs"), scores)


def test_command_writes_everything(made, explained, tmp_path, capsys):
    simulation, regions, sequences = made
    scores, motifs, some, _ = explained
    folder = tmp_path / "a run"
    folder.mkdir()
    # The ratio is 0 for a sequence in which no site fits, as the matrices hold zeros
    ratios = likelihood_ratios(sequences, simulation)
    logits = {target: np.log(np.maximum(ratio, 1e-300)) for target, ratio in ratios.items()}
    write_table(regions, folder / "regions.tsv.gz")
    write_table(predictions_of(regions, logits), folder / "predictions.tsv.gz")
    contributions = np.random.default_rng(0).normal(size=(len(some), 4, 200)).astype(np.float32)
    other = write_scores(folder / "other.h5", some, contributions, method="interior_gradients")
    flags = {
        "--simulation": [simulation.folder],
        "--regions": [folder / "regions.tsv.gz"],
        "--predictions": [folder / "predictions.tsv.gz"],
        "--scores": [scores, other],
        "--motifs": [motifs],
        "--output": [folder / "truth.json"],
    }

    def run():
        return main(["truth", *(str(part) for flag, values in flags.items() for part in (flag, *values))])

    assert run() == 0
    printed = capsys.readouterr().out
    assert "best possible" in printed and "no name (p 1e-05)" in printed and "(precision of scans with" in printed
    found = json.loads((folder / "truth.json").read_text())
    assert found["format"] == "seqlift truth 1"
    assert found["targets"]["GATA1"]["difference"] == pytest.approx(0, abs=1e-12)
    assert list(found["contributions"]) == ["GATA1.deeplift", "GATA1.interior_gradients"]
    assert list(found["patterns"]) == list(found["hits"]) == ["GATA1.deeplift"]
    assert set(found["hits"]["GATA1.deeplift"]["scans"]) == {"best", "jaspar", "pfm"}

    flags["--output"] = [folder / "other.json"]
    flags["--scores"] = [other]
    assert run() == 1
    assert "deeplift: motifs of GATA1.deeplift, whose score file is missing" in capsys.readouterr().err
    flags["--motifs"] = [folder / "nowhere"]
    assert run() == 1
    assert "nowhere/motifs.json: no such file" in capsys.readouterr().err
    flags["--scores"] = [scores, other, scores]
    assert run() == 1
    assert "both hold scores of GATA1.deeplift; name one of them" in capsys.readouterr().err
    flags["--scores"], flags["--motifs"] = [scores, other], [motifs, motifs]
    assert run() == 1
    assert "a second folder of motifs of GATA1.deeplift; name one" in capsys.readouterr().err
    assert not (folder / "other.json").exists()


def test_what_is_not_of_the_run_is_refused(made, tmp_path):
    simulation, regions, _ = made
    good = write_table(regions, tmp_path / "regions.tsv.gz")
    table = predictions_of(regions, dict.fromkeys(TARGETS, 0.0))
    predictions = write_table(table, tmp_path / "predictions.tsv.gz")

    def refused(words, regions_path=good, predictions_path=predictions):
        with pytest.raises(SeqliftError, match=words):
            compare_with_truth(simulation.folder, regions_path, predictions_path)

    refused("no such file", regions_path=tmp_path / "missing.tsv.gz")
    refused("No such file.*seqlift evaluate", predictions_path=tmp_path / "missing.tsv.gz")
    other = regions.rename(columns={"target:TAL1": "target:Reb1"})
    refused("target 'Reb1' is none of those", regions_path=write_table(other, tmp_path / "other.tsv.gz"))
    shuffled = regions.assign(kind=regions["kind"].replace("genome", "shuffled"))
    refused("400 test regions .* are shuffles", regions_path=write_table(shuffled, tmp_path / "shuffled.tsv.gz"))
    fewer = write_table(table[table["split"] != "test"], tmp_path / "fewer.tsv.gz")
    refused("lacks 1600 of the 1600 test regions", predictions_path=fewer)
    unlabelled = regions.assign(**{"target:TAL1": 0})
    refused("0 of 1600 test regions belong to 'TAL1'", regions_path=write_table(unlabelled, tmp_path / "none.tsv.gz"))
    no_logit = write_table(table.drop(columns="logit:TAL1"), tmp_path / "short.tsv.gz")
    refused("logit:TAL1", predictions_path=no_logit)
    (tmp_path / "broken.tsv.gz").write_bytes(gzip.compress(b"name\tlogit:TAL1\nx\ty\n"))
    refused("not predictions", predictions_path=tmp_path / "broken.tsv.gz")
    (tmp_path / "cut.tsv.gz").write_bytes(predictions.read_bytes()[:-20])
    refused("cut.tsv.gz: not predictions", predictions_path=tmp_path / "cut.tsv.gz")
    (tmp_path / "plain.tsv.gz").write_bytes(b"name\tlogit:TAL1\n")
    refused("plain.tsv.gz: not predictions", predictions_path=tmp_path / "plain.tsv.gz")

    elsewhere = regions.head(3).assign(start=0, end=200)
    path = write_scores(tmp_path / "s.h5", elsewhere, np.ones((3, 4, 200), np.float32))
    with pytest.raises(SeqliftError, match="0 of the 600 bases of its 3 regions lie in planted sites of GATA1"):
        compare_contributions(simulation, path)
