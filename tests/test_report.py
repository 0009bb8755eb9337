"""The report, the summary and the provenance of a run, from a run folder made by `fixtures.report`."""

import html.parser
import io
import itertools
import json
import re
import shutil
import xml.etree.ElementTree
from types import SimpleNamespace
from urllib.parse import unquote

import matplotlib
import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from scipy.stats import binomtest

from fixtures.report import METHODS, build_run, write_scores
from seqlift.cli import main
from seqlift.errors import SeqliftError
from seqlift.report import formats, write_report
from seqlift.report.figures import canvas
from seqlift.report.figures import explanations as figures
from seqlift.report.provenance.collect import collect_provenance, sha256
from seqlift.report.read import analysis
from seqlift.report.read.run import load_run
from seqlift.report.summary import print_summary
from seqlift.scores.file import choose_examples

TAG = "<img src=x onerror=alert(1)>"
TRUTH = {
    "format": "seqlift truth 1",
    "targets": {"GATA1": {"auroc_best": 0.9731, "auroc_model": 0.9712, "difference": 0.0019}},
    "contributions": {"GATA1.deeplift": {"auroc": 0.8642, "auprc": 0.7, "regions": 9, "bases": 1800, "inside": 90}},
    "patterns": {},
    "hits": {
        "TAL1.deeplift": {"sites": 812, "calls": 845, "precision": 0.8123, "recall": 0.7654}
        | {
            "scans": {
                kind: {"sites": 812, "calls": 845, "precision": 0.7, "recall": None}
                for kind in ("best", "jaspar", "pfm")
            }
        }
    },
}


class Page(html.parser.HTMLParser):
    """What a browser would see of a page: elements with their attributes, and the text."""

    def __init__(self, path):
        super().__init__()
        self.elements, self.text, self._hidden = [], "", 0
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self._hidden += tag in ("style", "script")

    def handle_endtag(self, tag):
        self._hidden -= tag in ("style", "script")

    def handle_data(self, data):
        self.text += "" if self._hidden else data

    @property
    def index(self):
        """The regions that the page can draw."""
        return json.loads(re.search(r'id="region-index">(.*?)</script>', self.source, re.S).group(1))

    def all(self, *tags):
        return [attributes for tag, attributes in self.elements if tag in tags]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run with everything, and its report."""
    run, config = build_run(tmp_path_factory.mktemp("a run"), truth=TRUTH)
    return run, config, write_report(run, config, run / "report.html")


@pytest.fixture(scope="module")
def of_one_target(tmp_path_factory):
    """A run whose report is written in half the time."""
    run, config = build_run(tmp_path_factory.mktemp("one target"), targets=("TAL1",), truth=TRUTH)
    return run, config, write_report(run, config, run / "report.html")


def _copied(run, folder):
    shutil.copytree(run.parents[2], folder)
    return folder / "results" / "demo" / "200bp", folder / "config.resolved.yaml"


@pytest.fixture
def copy(of_one_target, tmp_path):
    """A run to spoil."""
    return _copied(of_one_target[0], tmp_path / "copy")


def test_page_needs_no_other_file_and_no_network(whole):
    page_ = Page(whole[2])
    for image in page_.all("img"):
        assert image["src"].startswith("data:image/svg+xml,")
        assert image["alt"].strip() and int(image["width"]) > 0 and int(image["height"]) > 0
    assert not any("src" in script for script in page_.all("script"))
    assert [link["href"] for link in page_.all("link")] == ["data:,"]
    assert not {"iframe", "object", "embed", "base"} & {tag for tag, _ in page_.elements}
    policy = next(meta["content"] for meta in page_.all("meta") if meta.get("http-equiv"))
    assert "default-src 'none'" in policy and "img-src data:" in policy
    assert not any(attribute.startswith("on") for _, attributes in page_.elements for attribute in attributes)
    assert whole[2].stat().st_size < 10e6


def test_page_is_well_formed(whole):
    page_ = Page(whole[2])
    identifiers = [attributes["id"] for _, attributes in page_.elements if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))
    targets = {link["href"][1:] for link in page_.all("a") if link["href"].startswith("#")}
    regions = {target for target in targets if target.startswith("region/")}  # these the script shows
    assert {unquote(region.split("/")[1]) for region in regions} <= set(page_.index["names"])
    assert len(targets) > 10 and {unquote(target) for target in targets - regions} <= set(identifiers)
    levels = [int(tag[1]) for tag, _ in page_.elements if tag in ("h1", "h2", "h3", "h4")]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    assert all(box["aria-label"] for _, box in page_.elements if box.get("role") == "region")


def test_links_lead_to_the_files_of_the_run(whole):
    links = [link["href"] for link in Page(whole[2]).all("a") if not link["href"].startswith("#")]
    assert len(links) > 20
    for link in links:
        assert (whole[2].parent / unquote(link)).exists(), link


def test_page_shows_the_numbers_of_the_run(whole):
    run, _, path = whole
    text = Page(path).text
    metrics = json.loads((run / "model" / "metrics.json").read_text())
    for metric in metrics["targets"].values():
        for numbers in (metric, *metric["baselines"].values()):
            for against in ("matched", "all"):
                for key in ("auroc", "auroc_low", "auroc_high"):
                    assert f"{numbers['against'][against][key]:.3f}" in text
            assert f"{numbers['against']['matched']['auprc_high']:.3f}" in text
        assert f"error {metric['reliability']['calibration_error']:.3f}" in text
    assert "0.9731" in text and "0.8642" in text  # the truth
    assert "0.812" in text and "0.765" in text and "845" in text  # hits against planted sites
    assert "too many N" in text and "11" in text
    assert "merged into" not in text  # nothing was dropped for that reason
    assert "912" in text and "MA0035.3" in text and "5.0\u2009%" in text
    assert f"{123456:,}".replace(",", "\u202f") in text
    assert "learned nothing" not in text


def test_an_ensemble_is_called_so(copy):
    run, config = copy
    assert "A basset network with" in Page(run / "report.html").text
    config.write_text(config.read_text().replace("filters:", "replicates: 5\n  filters:"))
    config.write_text(config.read_text().replace("filters:", "both_strands: true\n  filters:"))
    assert "5 basset networks with" in Page(write_report(run, config, run / "report.html")).text
    assert "weights in all, read on both strands, learned" in Page(run / "report.html").text


def test_same_run_gives_the_same_page_and_leaves_matplotlib_as_it_was(copy):
    settings = dict(matplotlib.rcParams)
    before = (copy[0] / "report.html").read_bytes()
    assert write_report(*copy, copy[0] / "report.html").read_bytes() == before
    assert dict(matplotlib.rcParams) == settings


@pytest.mark.parametrize("methods", [("deeplift",), ("interior_gradients",)])
def test_one_target_and_one_method(tmp_path, methods):
    run, config = build_run(tmp_path, targets=("GATA1",), methods=methods, n_references=1)
    text = Page(write_report(run, config, run / "report.html")).text
    assert "Agreement of the two methods" not in text
    assert ("Along the path" in text) == (methods == ("interior_gradients",))
    assert "Planted truth" not in text
    assert "one target" in text


def test_names_from_files_are_text(tmp_path):
    run, config = build_run(tmp_path, targets=(TAG, "_a$b$"), region_name="<script>alert(2)</script>&", name="<b>x")
    path = write_report(run, config, run / "report.html")
    page_ = Page(path)
    assert page_.text.count(TAG) > 5 and "<script>alert(2)</script>&" in page_.text and "_a$b$" in page_.text
    scripts = [attributes.get("type") for attributes in page_.all("script")]
    assert scripts == ["application/json", "text/plain", None]  # the first two are data
    assert all(name.startswith("<script>alert(2)</script>&") for name in page_.index["names"])
    assert len(page_.index["names"]) > 100 and page_.index["targets"] == [TAG, "_a$b$"]
    assert "x" not in {attributes.get("src") for attributes in page_.all("img")}
    assert all("onerror" not in image for image in page_.all("img"))
    for image in page_.all("img"):
        root = xml.etree.ElementTree.fromstring(unquote(image["src"].partition(",")[2]))
        assert not [element for element in root.iter() if element.tag.endswith(("script", "}img"))]
    links = [link["href"] for link in page_.all("a") if not link["href"].startswith("#")]
    assert all((path.parent / unquote(link)).exists() for link in links)


def test_no_pattern_found_is_said(tmp_path):
    run, config = build_run(tmp_path, targets=("GATA1",), patterns=False)
    text = Page(write_report(run, config, run / "report.html")).text
    assert "No pattern was found" in text and "try more regions (attribution.max_regions)" in text


@pytest.mark.parametrize("head", ["classes", "counts"])
def test_a_model_that_learned_nothing_is_called_so(tmp_path, head):
    run, config = build_run(tmp_path, learned=False, restarts=2, patterns=False, head=head)
    page_ = Page(write_report(run, config, run / "report.html"))
    assert "The model learned nothing about GATA1 and TAL1" in page_.text
    assert "although training was started again twice with other seeds" in page_.text
    # At the top, and where the target's numbers, patterns and examples are
    assert page_.text.index("The model learned nothing about GATA1 and TAL1") < page_.text.index("Leading pattern")
    for target in ("GATA1", "TAL1"):
        assert page_.text.count(f"The model learned nothing about {target}Do not interpret") == 3
    alerts = [attributes for _, attributes in page_.elements if attributes.get("role") == "alert"]
    assert len(alerts) == 1 + 2 * 3 and all("loud" in attributes["class"] for attributes in alerts)
    lines = _summary(run)
    assert sum("WARNING" in line for line in lines) == 2


def test_an_output_of_which_nothing_was_learned_is_called_so(tmp_path):
    """Of a profile the shape may be learned and the counts not, or the other way round."""
    run, config = build_run(tmp_path, targets=("ATAC",), head="profile", unlearned=("ATAC.counts",), patterns=False)
    path = run / "model" / "metrics.json"
    metrics = json.loads(path.read_text())
    found = metrics["targets"]["ATAC"]
    found["groups"]["all"] |= {"pearson": 0.05, "pearson_low": -0.1}
    path.write_text(json.dumps(metrics))
    text = Page(write_report(run, config, run / "report.html")).text
    assert "The model learned nothing about ATAC.counts" in text and "nothing about ATAC.profile" not in text
    assert "nothing learned about the counts" in text
    assert "ATAC.counts Pearson correlation of log counts 0.050" in text
    assert "The model is weak on" not in text  # said once is enough
    metrics["learned_outputs"] = {"ATAC.counts": True, "ATAC.profile": False}
    found["groups"]["all"] |= {"pearson": 0.6, "pearson_low": 0.5}
    path.write_text(json.dumps(metrics))
    run_ = load_run(run)
    assert run_.flagged() == ["ATAC.profile"] and run_.unlearned() == []  # nearer than the mean profile
    found["profile"]["groups"]["peaks"]["model"]["median"] = 0.99
    path.write_text(json.dumps(metrics))
    assert load_run(run).unlearned() == ["ATAC.profile"]


@pytest.mark.parametrize(("head", "strands"), [("counts", 1), ("profile", 2), ("profile", 1)])
def test_heads_with_a_signal(tmp_path, head, strands):
    run, config = build_run(tmp_path, head=head, strands=strands, restarts=1)
    path = write_report(run, config, run / "report.html")
    page_, metrics = Page(path), json.loads((run / "model" / "metrics.json").read_text())
    for target in ("GATA1", "TAL1"):
        found = metrics["targets"][target]
        for group in ("all", "peaks"):
            assert f"{found['groups'][group]['pearson']:.3f}" in page_.text
            assert f"{found['groups'][group]['spearman_low']:.3f}" in page_.text
            assert f"{found['baselines']['kmers']['groups'][group]['pearson']:.3f}" in page_.text
        assert [i for i in page_.all("img") if f"observed log counts of {target}" in i["alt"]]
        if head == "profile":
            for kind in ("model", "shuffled", "mean", "replicates"):
                for group in ("peaks", "all"):
                    assert f"{found['profile']['groups'][group][kind]['median']:.3f}" in page_.text
    assert "6-mers, ridge regression" in page_.text and "Training learned nothing once" in page_.text
    assert "ROC" not in page_.text and "the middle 120 bp" in page_.text
    drawn = [image["alt"] for image in page_.all("img") if image["alt"].startswith("Observed and predicted signal")]
    assert len(drawn) == (6 if head == "profile" else 0)
    # Scores, patterns and tracks are those of each output, numbers those of each target
    outputs = [f"{t}.{kind}" for t in ("GATA1", "TAL1") for kind in ("counts", "profile")]
    links = {unquote(link["href"]) for link in page_.all("a")}
    for output in outputs if head == "profile" else ("GATA1", "TAL1"):
        assert {f"scores/{output}.deeplift.h5", f"tracks/{output}.interior_gradients.bw"} <= links
        assert f"motifs/deeplift/{output}/logos/" in links
    roles = [entry["role"] for entry in json.loads((run / "provenance.json").read_text())["inputs"]]
    assert roles == ["genome", *(f"{kind} of {target}" for target in ("GATA1", "TAL1") for kind in ("peaks", "signal"))]
    lines = _summary(run)
    assert all(len(line) <= 80 for line in lines if str(run) not in line)
    assert f"{metrics['targets']['TAL1']['groups']['all']['pearson']:.3f}" in "\n".join(lines)


def test_folds(tmp_path):
    run, config = build_run(tmp_path, folds=3, background=30)
    page_ = Page(write_report(run, config, run / "report.html"))
    metrics = json.loads((run / "model" / "metrics.json").read_text())
    for found in metrics["targets"].values():
        for fold in found["folds"]["each"]:
            assert f"{fold['auroc']:.3f}" in page_.text and f"{fold['auprc']:.3f}" in page_.text
        assert f"{found['folds']['standard_deviation']['auroc']:.3f}" in page_.text
        assert f"{found['against']['background']['auprc']:.3f}" in page_.text
    links = {unquote(link["href"]) for link in page_.all("a")}
    assert {f"model/fold{i}/model.ckpt" for i in range(3)} <= links and "model/model.ckpt" not in links
    assert "Variation between models" in page_.text and "31\u2009%" in page_.text
    assert "3 times: each time without one of 3 folds" in page_.text and "fold 2" in page_.text
    (run / "model" / "fold1" / "history.tsv").unlink()
    with pytest.raises(SeqliftError, match=r"fold1/history\.tsv: no such file"):
        write_report(run, config, run / "report.html")


def test_what_the_regions_say_of_themselves(tmp_path):
    warning = "negatives do not match the peaks in GC content: the mean difference is above 0.02 in test 0.031"
    run, config = build_run(tmp_path, masked=True, background=25, gc_warning=warning, learned=True)
    page_ = Page(write_report(run, config, run / "report.html"))
    assert "Negatives do not match the peaks in GC content" in page_.text and "test 0.031." in page_.text
    metrics = json.loads((run / "model" / "metrics.json").read_text())
    for target, found in metrics["targets"].items():
        assert found["masked"] > 0 and f"regions have no label of {target}" in page_.text
    assert "left out, label masked" in page_.text and "AUPRC, genome" in page_.text
    assert "weighted to represent all its windows" in page_.text
    assert "true class imbalance is unknown" not in page_.text


def test_no_background_is_said(whole):
    assert "true class imbalance is unknown" in Page(whole[2]).text


def test_spread_over_models_counted_by_hand(tmp_path):
    contributions = np.zeros((2, 40), np.float32)
    contributions[0, :4] = 1, -4, 2, 3  # the strongest two of forty: -4 and 3
    contributions[1, 7] = 10
    spread = np.full((2, 40), 0.5, np.float32)
    spread[0, 1] = 1.5
    path = write_scores(tmp_path / "s.h5", ["a", "b"], contributions, model_spread=spread)
    found = analysis.model_spread(path)
    assert found.overall == pytest.approx((80 * 0.5 + 1) / 20)
    assert found.strongest == pytest.approx((1.5 + 0.5 + 0.5 + 0.5) / (4 + 3 + 10))
    assert analysis.model_spread(write_scores(tmp_path / "n.h5", ["a"], contributions[:1])) is None


def test_history_of_the_training_that_was_kept(tmp_path):
    run, _ = build_run(tmp_path, restarts=2)
    (history,) = load_run(run).histories()
    assert list(history["epoch"]) == list(range(1, 16)) and (history["attempt"] == 3).all()


def test_wilson_interval_is_that_of_scipy():
    positives, n = np.array([0, 3, 10, 7]), np.array([5, 9, 10, 200])
    low, high = analysis.wilson_interval(positives, n)
    for i in range(4):
        found = binomtest(positives[i], n[i]).proportion_ci(method="wilson")
        assert (low[i], high[i]) == pytest.approx((found.low, found.high), abs=1e-4)


def test_numbers_of_two_trainings_are_called_so(whole, tmp_path):
    run, config = _copied(whole[0], tmp_path / "copy")
    path = run / "model" / "metrics.json"
    metrics = json.loads(path.read_text())
    metrics["targets"]["TAL1"]["against"]["all"]["auroc"] = 0.71
    path.write_text(json.dumps(metrics))
    text = Page(write_report(run, config, run / "report.html")).text
    assert "metrics.json and predictions.tsv.gz disagree on TAL1" in text
    assert "disagree on GATA1" not in text


def test_broken_completeness_is_called_so(copy):
    import h5py

    with h5py.File(copy[0] / "scores" / "TAL1.deeplift.h5", "r+") as file:
        file["diagnostics/delta"][3, 1] = 0.5
        file["diagnostics/delta"][5, 0] = -0.5
    text = Page(write_report(*copy, copy[0] / "report.html")).text
    assert "Completeness is broken: TAL1, DeepLIFT" in text and "2 of " in text


def test_scores_of_two_models_are_called_so(copy):
    import h5py

    with h5py.File(copy[0] / "scores" / "TAL1.deeplift.h5", "r+") as file:
        file.attrs["model_fingerprint"] = "0" * 64
    assert "The score files are of different models" in Page(write_report(*copy, copy[0] / "report.html")).text


@pytest.mark.parametrize(
    ("name", "stage"),
    [
        ("regions.json", "regions"),
        ("regions.tsv.gz", "regions"),
        ("model/metrics.json", "evaluate"),
        ("model/history.tsv", "train"),
        ("model/predictions.tsv.gz", "evaluate"),
        ("scores/TAL1.interior_gradients.h5", "attribute"),
        ("scores/TAL1.mutagenesis.h5", "attribute"),
        ("tracks/TAL1.deeplift.bw", "tracks"),
        ("motifs/deeplift/TAL1/motifs.json", "motifs"),
        ("motifs/deeplift/TAL1/patterns.tsv", "motifs"),
        ("motifs/deeplift/TAL1/modisco.h5", "motifs"),
        ("motifs/deeplift/TAL1/seqlets.bed.gz", "motifs"),
    ],
)
def test_missing_file_is_named_with_its_stage(copy, name, stage, capsys):
    (copy[0] / name).unlink()
    (copy[0] / "report.html").unlink()
    output = copy[0] / "report.html"
    status = main(["report", "--run-dir", str(copy[0]), "--config", str(copy[1]), "--output", str(output)])
    message = capsys.readouterr().err
    assert status == 1 and str(copy[0] / name) in message and f"`seqlift {stage}`" in message
    assert "Traceback" not in message
    assert not output.exists()


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("regions.json", b'{"format": "seq', "not JSON"),
        ("regions.json", b"[]", "no JSON object"),
        ("model/metrics.json", b'{"format": "other 7"}', "'other 7', not 'seqlift metrics 2'"),
        ("model/metrics.json", b'{"format": "seqlift metrics 2"}', "lacks the key 'targets'"),
        ("model/history.tsv", b"epoch\ttrain_loss\n1\t2\n", "lacks the column 'valid_loss'"),
        ("model/predictions.tsv.gz", b"\x1f\x8b\x08\x00cut", "cannot be read"),
        ("model/predictions.tsv.gz", b"plain", "cannot be read"),
        ("motifs/deeplift/TAL1/patterns.tsv", b"", "cannot be read"),
        ("motifs/deeplift/TAL1/modisco.h5", b"text", "cannot be read"),
        ("motifs/deeplift/TAL1/seqlets.bed.gz", b"text", "cannot be read"),
        ("scores/TAL1.deeplift.h5", b"text", "not an HDF5 file"),
        ("truth.json", b"{", "`seqlift truth`"),
    ],
)
def test_broken_file_is_named(copy, name, content, expected):
    (copy[0] / name).write_bytes(content)
    with pytest.raises(SeqliftError) as error:
        write_report(*copy, copy[0] / "report.html")
    assert str(copy[0] / name) in str(error.value) and expected in str(error.value)


def test_metrics_of_other_targets_are_refused(copy):
    path = copy[0] / "model" / "metrics.json"
    metrics = json.loads(path.read_text())
    metrics["targets"]["other"] = metrics["targets"].pop("TAL1")
    path.write_text(json.dumps(metrics))
    with pytest.raises(SeqliftError, match="no target 'TAL1'"):
        load_run(copy[0])


def test_scores_of_other_regions_are_refused(copy):
    table = pd.read_csv(copy[0] / "regions.tsv.gz", sep="\t")
    table["name"] = "x" + table["name"]
    table.to_csv(copy[0] / "regions.tsv.gz", sep="\t", index=False)
    with pytest.raises(SeqliftError, match=r"are not in regions\.tsv\.gz"):
        write_report(*copy, copy[0] / "report.html")


@pytest.mark.parametrize("content", [None, "a: [", "- 1\n", ""])
def test_bad_config_is_named(copy, content, capsys):
    path = copy[0] / "other.yaml"
    if content is not None:
        path.write_text(content)
    status = main(["report", "--run-dir", str(copy[0]), "--config", str(path), "--output", str(copy[0] / "r.html")])
    assert status == 1 and str(path) in capsys.readouterr().err


def test_run_dir_that_is_none(tmp_path, capsys):
    assert main(["summary", "--run-dir", str(tmp_path / "none")]) == 1
    assert "results/<name>/<length>bp" in capsys.readouterr().err


def test_planted_sites_are_marked_on_simulated_data_only(copy):
    run = copy[0]
    summary = json.loads((run / "regions.json").read_text())
    summary["genome"]["path"] = str(run.parents[2] / "genome.fa")
    (run / "regions.json").write_text(json.dumps(summary))
    (run.parents[2] / "truth.bed").write_text("chr3\t100\t108\tGATA1\t0\t+\n")
    assert list(load_run(run).planted_sites()["name"]) == ["GATA1"]
    (run / "truth.json").unlink()
    assert load_run(run).planted_sites() is None


# The numbers behind the figures


def test_thinned_curves_keep_their_areas():
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 2, 20_000)
    logits = labels + rng.normal(0, 1.2, labels.size)
    found = analysis.curves(labels, logits)
    assert len(found.false_positive_rate) <= 400 and len(found.recall) <= 400
    assert np.trapezoid(found.true_positive_rate, found.false_positive_rate) == pytest.approx(found.auroc, abs=2e-3)
    assert np.trapezoid(found.precision[::-1], found.recall[::-1]) == pytest.approx(found.auprc, abs=5e-3)
    assert found.prevalence == labels.mean()
    # probability that a positive outranks a negative, counted on a part
    few = labels[:600], logits[:600]
    pairs = few[1][few[0] == 1][:, None] > few[1][few[0] == 0][None, :]
    assert analysis.curves(*few).auroc == pytest.approx(pairs.mean())


def test_no_curve_of_one_class():
    assert analysis.curves(np.ones(5), np.arange(5.0)) is None


def _coords(*starts):
    return pd.DataFrame({"chrom": "chr1", "start": starts, "end": np.array(starts) + 100})


def test_examples_are_the_highest_held_out_ones_that_do_not_overlap():
    coords = _coords(0, 1000, 1050, 2000, 3000, 4000)
    prediction = np.array([9.0, 3.0, 4.0, 1.0, 1.0, 8.0])
    split = pd.Series(["train", "test", "test", "test", "test", "valid"])
    rows, rule = choose_examples(coords, prediction, split, 3)
    assert rows == [2, 3, 4]  # 1 overlaps 2; 3 and 4 tie and keep their order
    assert "held-out" in rule and "highest prediction" in rule
    assert choose_examples(coords, prediction, split, 0)[0] == []
    rows, rule = choose_examples(coords, prediction, pd.Series(["train"] * 6), 1)
    assert rows == [0] and "no held-out region" in rule


def test_core_is_the_richest_stretch_in_the_middle():
    importance = np.zeros(1000)
    importance[600:610] = 1
    start, end = figures.core(importance, 100)
    assert end - start == 100 and start <= 600 and end >= 610
    assert abs((start + end) / 2 - 605) <= 1
    assert figures.core(importance, 1000) == (0, 1000)


@pytest.fixture
def two_score_files(tmp_path):
    """Two score files with the same regions in another order, one region of its own each."""
    rng = np.random.default_rng(5)
    values = rng.normal(size=(30, 40))
    names = np.array([f"r{i}" for i in range(30)])
    paths, kept = [], []
    for i, noise in enumerate((0.0, 0.7)):
        rows = rng.permutation(29) + i
        own = (values + noise * rng.normal(size=values.shape))[rows].astype(np.float32)
        paths.append(write_scores(tmp_path / f"{i}.h5", names[rows], own))
        kept.append(pd.DataFrame(own, index=names[rows]))
    return paths, kept


def test_agreement_matches_regions_by_name(two_score_files, monkeypatch):
    monkeypatch.setattr(analysis, "BLOCK", 7)  # several blocks, the last one short
    paths, (first, second) = two_score_files
    found = analysis.agreement(*paths)
    both = first.index[first.index.isin(second.index)]
    a, b = first.loc[both].to_numpy(float), second.loc[both].to_numpy(float)
    assert len(found.per_region) == 28
    expected = [np.corrcoef(x, y)[0, 1] for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(found.per_region, expected, atol=1e-6)
    assert found.overall == pytest.approx(np.corrcoef(a.ravel(), b.ravel())[0, 1], abs=1e-6)
    assert found.density.sum() == a.size


def test_of_many_regions_blocks_at_even_steps_are_compared(two_score_files, monkeypatch):
    paths, *_ = two_score_files
    whole = analysis.agreement(*paths)
    n = len(whole.per_region)
    assert n >= 3 and whole.shared == n
    monkeypatch.setattr(analysis, "BLOCK", 1)
    monkeypatch.setattr(analysis, "COMPARED", 2)
    some = analysis.agreement(*paths)
    np.testing.assert_allclose(some.per_region, whole.per_region[[0, -1]])
    assert some.shared == n
    assert analysis._some_blocks(n) == [(0, 1), (n - 1, n)]
    monkeypatch.setattr(analysis, "COMPARED", 100)
    np.testing.assert_allclose(analysis.agreement(*paths).per_region, whole.per_region)


def test_agreement_of_a_file_with_itself_is_perfect_and_with_a_stranger_none(two_score_files, tmp_path):
    paths, _ = two_score_files
    assert analysis.agreement(paths[0], paths[0]).overall == pytest.approx(1)
    stranger = write_scores(tmp_path / "s.h5", np.array(["z"]), np.ones((1, 40), np.float32))
    assert analysis.agreement(paths[0], stranger) is None


def test_examples_show_the_same_region_of_both_files(two_score_files):
    paths, (first, second) = two_score_files
    table = pd.DataFrame({"name": [f"r{i}" for i in range(31)], "split": "test"})
    examples, _ = analysis.read_examples(dict(zip(METHODS, paths, strict=True)), table, 5)
    assert len(examples) == 5
    for example in examples:
        np.testing.assert_array_equal(example.contributions[METHODS[0]].sum(axis=0), first.loc[example.name])
        if example.name in second.index:
            np.testing.assert_array_equal(example.contributions[METHODS[1]].sum(axis=0), second.loc[example.name])


def test_completeness_counts_by_the_rule_of_attribution(tmp_path, monkeypatch):
    import torch

    from seqlift.attribution.totals import broken_completeness

    monkeypatch.setattr(analysis, "BLOCK", 3)
    rng = np.random.default_rng(2)
    contributions = rng.normal(0, 0.2, (10, 6)).astype(np.float32)
    prediction, reference = rng.normal(0, 2, 10).astype(np.float32), rng.normal(0, 2, (10, 4)).astype(np.float32)
    delta = rng.normal(0, 0.1, (10, 4)).astype(np.float32)
    path = write_scores(
        tmp_path / "s.h5",
        np.array([f"r{i}" for i in range(10)]),
        contributions,
        delta=delta,
        prediction=prediction,
        reference_prediction=reference,
        tolerance=0.06,
    )
    found = analysis.completeness(path)
    result = SimpleNamespace(
        delta=torch.from_numpy(delta),
        prediction=torch.from_numpy(prediction),
        reference_prediction=torch.from_numpy(reference),
        contributions=torch.from_numpy(contributions)[:, None],
        n_references=torch.full((10,), 4),
    )
    assert 3 < found.broken < 37
    assert (found.broken, found.tolerance) == (int(broken_completeness(result, 0.06).sum()), 0.06)
    explained = np.maximum(np.abs(prediction[:, None] - reference), np.abs(contributions).sum(axis=1)[:, None])
    np.testing.assert_allclose(found.relative, (np.abs(delta) / explained).ravel(), rtol=1e-5)


def test_references_that_were_not_used_are_not_broken(tmp_path):
    used = np.array([2, 4, 3])
    delta = np.where(np.arange(4) < used[:, None], 1e-4, np.nan)
    delta[1, 2], delta[2, 0] = 0.5, np.nan  # too large, and used but not finite
    names, contributions = np.array(["a", "b", "c"]), np.ones((3, 6), np.float32)
    path = write_scores(tmp_path / "s.h5", names, contributions, delta=delta, n_references=used)
    found = analysis.completeness(path)
    assert found.broken == 2 and len(found.relative) == 9 and list(found.n_references) == [2, 4, 3]


def _path(prediction, **fields):
    prediction = np.asarray(prediction, float)
    alphas, none = np.linspace(0, 1, prediction.shape[1]), np.full(len(prediction), np.nan)
    settings = {"half": none, "most": none, "steps": np.array([50])} | fields
    return analysis.PathCurve(alphas, prediction, alphas[1:-1], np.ones((len(prediction), len(alphas) - 2)), **settings)


def test_output_that_is_highest_before_the_sequence():
    for curve in ([[0, 1, 2, 3, 4]], [[0, 4, 4, 4, 4]], [[1, 1, 1, 1, 1]]):
        assert _path(curve).overshoot() is None
    assert _path([[0, 3, 5, 4.5, 4]]).overshoot() == 0.5


def test_where_half_of_the_change_has_happened_is_of_the_median_region(copy):
    import h5py

    with h5py.File(copy[0] / "scores" / "TAL1.interior_gradients.h5", "r+") as file:
        n = len(file["path/alpha_half"])
        file["path/alpha_half"][:] = np.r_[np.full(n - 2, 0.31), 0.9, np.nan]
        file["path/alpha_90"][:] = 0.77
    text = Page(write_report(*copy, copy[0] / "report.html")).text
    assert "half of the change has happened by α\u202f=\u202f0.31 and nine tenths by 0.77" in text


def test_how_many_references_and_points_were_taken(copy):
    import h5py

    with h5py.File(copy[0] / "scores" / "TAL1.interior_gradients.h5", "r+") as file:
        used = np.full(len(file["diagnostics/n_references"]), 3)
        used[0] = 2
        file["diagnostics/n_references"][:] = used
        for name, empty in (("diagnostics/delta", np.nan), ("path/steps", 0)):
            values = file[name][:]
            values[np.arange(4) >= used[:, None]] = empty
            file[name][:] = values
        file["path/steps"][0, 0] = 1280
    text = Page(write_report(*copy, copy[0] / "report.html")).text
    assert "2–3, median 3" in text and "20–1\u202f280, median 20" in text
    assert "Completeness is broken" not in text


# Mutagenesis


def test_methods_are_held_against_mutagenesis(tmp_path):
    from scipy.stats import pearsonr, spearmanr

    rng = np.random.default_rng(4)
    names = np.array([f"r{i}" for i in range(12)])
    effects = rng.normal(size=(5, 30)).astype(np.float32)
    chosen = np.array([7, 2, 11, 4, 5])
    contributions = rng.normal(size=(12, 30)).astype(np.float32)
    contributions[chosen] += effects
    effects[4] = 0  # nothing to correlate with
    method = write_scores(tmp_path / "method.h5", names, contributions)
    found = analysis.mutagenesis_agreement(method, write_scores(tmp_path / "y.h5", names[chosen], effects))
    order = np.argsort(chosen)  # rows come as in the method's file
    for values, oracle in ((found.pearson, pearsonr), (found.spearman, spearmanr)):
        expected = [oracle(contributions[chosen[i]], effects[i])[0] if i != 4 else np.nan for i in order]
        np.testing.assert_allclose(values, expected, atol=1e-6)
    stranger = write_scores(tmp_path / "s.h5", np.array(["z"]), np.ones((1, 30), np.float32))
    assert analysis.mutagenesis_agreement(method, stranger) is None


def test_page_shows_mutagenesis_beside_the_methods(whole):
    run, _, path = whole
    page_ = Page(path)
    medians = []
    for target in ("GATA1", "TAL1"):
        for method in METHODS:
            scores = [run / "scores" / f"{target}.{name}.h5" for name in (method, "mutagenesis")]
            found = analysis.mutagenesis_agreement(*scores)
            assert 10 < len(found.pearson) <= 20
            medians += [np.median(found.pearson), np.median(found.spearman)]
    assert "Agreement with in-silico mutagenesis" in page_.text
    assert all(f"{median:.3f}" in page_.text for median in medians)
    drawn = [image["alt"] for image in page_.all("img") if "as sequence logos" in image["alt"]]
    assert len(drawn) == 2 and all("Interior gradients above Mutagenesis" in alt for alt in drawn)
    assert sum("correlation with mutagenesis" in image["alt"] for image in page_.all("img")) == 4
    links = [unquote(link["href"]) for link in page_.all("a")]
    assert "scores/TAL1.mutagenesis.h5" in links


def test_no_mutagenesis_was_asked_for(copy):
    run, config = copy
    config.write_text(config.read_text().replace("max_regions: 20\n", "max_regions: 0\n"))
    page_ = Page(write_report(run, config, run / "report.html"))  # files of an earlier run are left aside
    assert "utagenesis" not in page_.text.replace("mutagenesis.max_regions", "")
    assert not any("utagenesis" in image["alt"] for image in page_.all("img"))


def test_mutagenesis_of_other_regions_is_not_compared(copy):
    import h5py

    with h5py.File(copy[0] / "scores" / "TAL1.mutagenesis.h5", "r+") as file:
        file["coords/name"][:] = [f"other{i}" for i in range(len(file["coords/name"]))]
    assert "Against mutagenesis" not in Page(write_report(*copy, copy[0] / "report.html")).text


def test_svg_becomes_an_address_that_keeps_numbers_in_text():
    svg = (
        '<?xml version="1.0"?>\n<svg width="9pt"><path d="M 1.23456 2 \nL 3 4.5 \nz\n"/>\n<text>0.987 # 5%</text></svg>'
    )
    source = canvas.svg_source(svg)
    drawn = unquote(source.removeprefix("data:image/svg+xml,"))
    assert drawn == '<svg width="9pt"><path d="M1.23 2L3 4.5z"/><text>0.987 # 5%</text></svg>'
    assert not set(source) & set("\"<># '")


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.04, "0.040"), (0, "0"), (3.14e-7, "3.1 × 10−7"), (9.99e-5, "1.0 × 10−4"), (float("nan"), "–"), (None, "–")],
)
def test_probabilities_as_text(value, shown):
    text = str(formats.scientific(value)).replace("<sup>", "").replace("</sup>", "").replace("\u2009", " ")
    assert text == shown


# Provenance


def test_provenance_says_where_the_result_comes_from(whole):
    run, config, _ = whole
    provenance = json.loads((run / "provenance.json").read_text())
    assert (
        provenance["versions"]["torch"] and provenance["versions"]["modisco-lite"] and provenance["versions"]["python"]
    )
    seeds = {"regions.seed": 1, "training.seed": 2, "attribution.seed": 3, "motifs.seed": 4}
    assert provenance["seeds"] == seeds | {"bootstrap": 1}
    checksums = {entry["role"]: entry["sha256"] for entry in provenance["inputs"]}
    assert checksums["genome"] == "ab" * 32
    assert checksums["peaks of GATA1"] == sha256(config.parent / "GATA1.bed") and len(checksums["peaks of GATA1"]) == 64
    assert provenance["attributions"]["TAL1.deeplift.h5"]["tolerance"] == 0.001
    assert provenance["devices"] == {"evaluate_model": ["cpu"]} and provenance["config"]["name"] == "demo"


def test_provenance_of_a_peak_file_that_is_gone(whole):
    run = load_run(whole[0])
    config = {"targets": [{"name": "GATA1", "peaks": "/nowhere/x.bed"}]}
    found = collect_provenance(config, run.regions, run.metrics, {"a": {"seed": np.int64(4), "rule": "rescale"}})
    assert found["inputs"][1] == {"role": "peaks of GATA1", "path": "/nowhere/x.bed", "sha256": None}
    assert found["attributions"] == {"a": {"seed": 4, "rule": "rescale"}} and json.dumps(found)


# Summary


def _summary(run, width=80, **options):
    console = Console(file=io.StringIO(), width=width, highlight=False, **options)
    print_summary(run, console)
    return console.file.getvalue().splitlines()


def test_summary_shows_numbers_and_places_in_80_columns(whole):
    run = whole[0]
    lines = _summary(run)
    text = "\n".join(lines)
    assert all(len(line) <= 80 for line in lines if str(run) not in line)
    metrics = json.loads((run / "model" / "metrics.json").read_text())["targets"]
    for target, metric in metrics.items():
        metric = metric["against"]["all"]
        assert f"{metric['auroc']:.3f}" in text and f"{metric['auroc_low']:.3f}-{metric['auroc_high']:.3f}" in text
        assert f"    {run / 'motifs' / 'deeplift' / target / 'logos'}" in lines
    assert "0.973" in text and "0.864" in text and "1.0e-09" in text
    assert f"    {run / 'report.html'}" in lines and f"    {run / 'tracks'}" in lines


def test_summary_on_a_terminal_and_before_the_report(copy):
    (copy[0] / "report.html").unlink()
    (copy[0] / "truth.json").unlink()
    text = "\n".join(_summary(copy[0], width=120, force_terminal=True))
    assert "`seqlift report` makes it" in text and "best possible" not in text
    assert main(["summary", "--run-dir", str(copy[0])]) == 0


def test_summary_without_patterns_and_with_brackets_in_names(tmp_path):
    run, _ = build_run(tmp_path, targets=("[red]x[bold]",), methods=("deeplift",), patterns=False)
    text = " ".join(" ".join(_summary(run)).split())
    assert "[red]x[bold]" in text and "found no pattern" in text and "no pattern was found" in text
