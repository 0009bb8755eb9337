"""modisco-lite and Fi-NeMo, as their users run them, on files that we write for them."""

import contextlib
import importlib
import sys
import warnings

import h5py
import numpy as np
import pandas as pd
import pytest

from fixtures.motif import FIRST, place, planted, write_scores
from seqlift.convert import Source, convert

pytest.importorskip("modiscolite")
pytest.importorskip("finemo")

LENGTH, GAP, N = 200, 50, 200


def run(monkeypatch, program, *arguments):
    """A program as its users call it, in this process: a process of its own takes seconds to import its libraries."""
    module = {"modisco": "modiscolite.cli", "finemo": "finemo.main"}[program]
    monkeypatch.setattr(sys, "argv", [program, *map(str, arguments)])
    with warnings.catch_warnings(), contextlib.suppress(SystemExit):
        warnings.simplefilter("ignore")
        importlib.import_module(module).cli()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Scores with one planted motif in our format, for TF-MoDISco and for chrombpnet, and where the sites are."""
    folder = tmp_path_factory.mktemp("programs")
    sequences, hypothetical, instances = planted(N, LENGTH, motifs=(FIRST,))
    coords = place(N, LENGTH, gap=GAP)
    scores = write_scores(folder / "ours.h5", coords, sequences, hypothetical)
    modisco = convert(Source("seqlift", scores), "modisco", folder / "for_modisco").files
    chrombpnet = convert(Source("seqlift", scores), "chrombpnet", folder / "chrombpnet.h5").files
    sites = {(int(coords["start"][row]) + start, strand) for row, start, strand, _ in instances}
    return folder, modisco, chrombpnet, sites


def strands(path) -> dict[str, str]:
    """The strand on which each pattern of TF-MoDISco reads the planted motif, of those that hold it."""
    back = FIRST[::-1].translate(str.maketrans("ACGT", "TGCA"))
    found = {}
    with h5py.File(path) as file:
        for name, pattern in file["pos_patterns"].items():
            consensus = "".join("ACGT"[base] for base in pattern["sequence"][:].argmax(axis=1))
            if FIRST in consensus or back in consensus:
                found[f"pos_patterns.{name}"] = "+" if FIRST in consensus else "-"
    return found


def test_tf_modisco_finds_the_motif_and_fi_nemo_its_sites_where_they_are(made, monkeypatch):
    folder, (ohe, shap, bed), (h5, h5_bed), sites = made
    run(monkeypatch, "modisco", "motifs", "-s", ohe, "-a", shap, "-n", 1000, "-w", LENGTH, "-o", folder / "modisco.h5")
    motif = strands(folder / "modisco.h5")
    assert motif

    pair = ["extract-regions-modisco-fmt", "-s", ohe, "-a", shap, "-p", bed]
    single = ["extract-regions-chrombpnet-h5", "-c", h5, "-p", h5_bed]
    regions = {}
    for name, command in {"pair": pair, "single": single}.items():
        run(monkeypatch, "finemo", *command, "-w", LENGTH, "-o", folder / f"{name}.npz")
        with np.load(folder / f"{name}.npz") as arrays:
            regions[name] = {key: arrays[key] for key in arrays.files}
    assert regions["pair"].keys() == regions["single"].keys()
    for key, values in regions["pair"].items():  # both ways lead to the same sequences, scores and coordinates
        np.testing.assert_array_equal(values, regions["single"][key])

    run(
        monkeypatch,
        "finemo",
        "call-hits",
        "-r",
        folder / "pair.npz",
        "-m",
        folder / "modisco.h5",
        "-o",
        folder / "hits",
    )
    hits = pd.read_csv(folder / "hits" / "hits_unique.tsv", sep="\t")
    hits = hits[hits["motif_name"].isin(motif)]
    planted_bases = {(start + i, strand) for start, strand in sites for i in range(len(FIRST))}
    found = [
        sum((place, "+" if hit.strand == motif[hit.motif_name] else "-") in planted_bases
            for place in range(hit.start, hit.end))
        for hit in hits.itertuples()
    ]  # fmt: skip
    assert np.mean(np.array(found) >= len(FIRST) - 2) > 0.95  # on the genome, on the strand that was planted
    assert 0.65 * N < len(hits) <= N  # a site with two bases changed is beyond it
