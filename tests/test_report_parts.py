"""What the report is made of: chosen and packed regions, genes, seqlets, hits, and sections on what stages found."""

import base64
import gzip
import io
import json
import re
import shutil
import struct
import zlib
from types import SimpleNamespace
from urllib.parse import unquote

import h5py
import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from fixtures.findings import add_findings
from fixtures.report import METHODS, build_run, write_scores
from seqlift.data.genome import encode
from seqlift.errors import SeqliftError
from seqlift.motifs.alignment import lay_known
from seqlift.motifs.folder import StoredPattern
from seqlift.report import page, write_report
from seqlift.report.figures.explanations import DOTS, mutagenesis_agreement
from seqlift.report.figures.letters import logo_image, outlines
from seqlift.report.motifs import pages as motif_pages
from seqlift.report.motifs import tables as pattern_tables
from seqlift.report.motifs.pages import Hit, add_examples
from seqlift.report.motifs.seqlet_windows import FLANK, read_windows
from seqlift.report.read.entries import Member, entries_of, key_of
from seqlift.report.read.genes import neighbours, read_genes
from seqlift.report.read.run import load_run
from seqlift.report.regions import choice as region_choice
from seqlift.report.regions.choice import PER_BASE, PER_TRACK, choose_regions
from seqlift.report.regions.data import collect_regions, pack, quantise, row_blocks
from seqlift.report.regions.marks import overlaps
from seqlift.report.regions.page import region_page, script_json
from seqlift.report.regions.predicted_signal import add_predicted, predicted_tracks
from seqlift.report.sections import evidence, explanations, performance
from seqlift.report.summary import print_summary
from seqlift.scores.file import open_scores

OUTPUTS = ("GATA1", "TAL1")


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """A run in which every stage was run, and its report's text."""
    run, config = build_run(tmp_path_factory.mktemp("found"))
    add_findings(run, OUTPUTS, METHODS)
    genes = config.parent / "genes.gff3"
    genes.write_text("chr3\tx\tgene\t70001\t71000\t.\t+\t.\tID=g1;Name=MYGENE\n")
    config.write_text(config.read_text().replace("examples: 1", "examples: 1\n  genes: genes.gff3"))
    return run, write_report(run, config, run / "report.html").read_text(encoding="utf-8")


def test_the_summary_says_what_the_stages_found(found, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(found[0], run)

    def printed() -> str:
        console = Console(file=io.StringIO(), width=80, highlight=False)
        print_summary(run, console)
        return console.file.getvalue()

    hits = json.loads((run / "motifs/deeplift/TAL1/hits.json").read_text())["hits"]
    text = printed()
    assert all(len(line) <= 80 for line in text.splitlines() if str(run) not in line)
    assert re.search(rf"\nTAL1 +DeepLIFT +{hits} +61 % *\n", text)
    assert re.search(r"\nTAL1 +DeepLIFT +2\.1 % +25\.2 %", text)
    motif = pd.read_csv(run / "motifs/compendium/compendium.tsv", sep="\t").iloc[0]
    assert re.search(rf"\n{motif['name']} +{motif['consensus']} +GATA1, TAL1 ", text)
    planted = {"precision": 0.81, "recall": 0.72, "scans": {"jaspar": {"precision": 0.7, "recall": None}}}
    (run / "truth.json").write_text(json.dumps({"hits": {"TAL1.deeplift": planted}}))
    assert re.search(rf"\nTAL1 +DeepLIFT +{hits} +61 % +0\.810 +0\.720 +0\.700, - *\n", printed())


def test_sections_show_what_the_stages_found(found):
    run, text = found
    for section in ("hits", "grammar", "sites", "faithfulness", "browser", "motif/m_0", "motif/m_1"):
        assert f'id="{section}"' in text
    assert "61\u2009%" in text and "93\u2009%" in text  # explained, recall
    assert "1 of 2 pairs have q of at most 0.05" in text and "&gt; &lt;" in text
    assert "0.432" in text and "0.610" in text
    assert "Replacing 2.1\u2009% of the bases" in text and "in random order it takes 25.2\u2009%" in text
    hits = sum(json.loads(path.read_text())["hits"] for path in run.glob("motifs/*/*/hits.json"))
    assert f"{hits:,} hits".replace(",", "\u202f") in text and "carry 61\u2009% of all contributions" in text
    assert "MYGENE" in text
    assert "AUROC of planted bases" not in text and ">other method" not in text  # columns without any number


def test_windows_of_background_are_not_called_regions(tmp_path):
    run, config = build_run(tmp_path, background=30)
    table = pd.read_csv(run / "regions.tsv.gz", sep="\t")
    test = table[table["split"] == "test"]
    real = int((test["kind"] != "background").sum())
    assert 0 < real < len(test)
    text = write_report(run, config, run / "report.html").read_text(encoding="utf-8")
    assert f"It is evaluated on {real} regions and {len(test) - real} random windows held out from training" in text


def test_motifs_are_those_of_the_compendium(found):
    entries = entries_of(load_run(found[0]))
    assert [entry.key for entry in entries] == ["m_0", "m_1", "m_2"] and entries[1].name == ""
    assert len(entries[0].members) == 4 and entries[0].hits == 700
    member = entries[1].members[0]
    np.testing.assert_array_equal(member.shown("cwm"), member.pattern.shown("cwm")[::-1, ::-1])


def test_members_of_another_run_are_refused(tmp_path):
    run, config = build_run(tmp_path)
    add_findings(run, OUTPUTS, METHODS)
    path = run / "motifs" / "compendium" / "members.tsv"
    text = path.read_text()
    path.write_text(text.replace("pos_1", "pos_9"))
    with pytest.raises(SeqliftError, match=r"members\.tsv: GATA1 deeplift pos_9 is no pattern of this run"):
        write_report(run, config, run / "report.html")
    path.write_text("".join(line for line in text.splitlines(True) if "neg_0" not in line))
    with pytest.raises(SeqliftError, match=r"members\.tsv: GATA1 deeplift neg_0 of this run is no member"):
        write_report(run, config, run / "report.html")


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("motifs/deeplift/TAL1/hits.json", "{", "`seqlift hits`"),
        ("motifs/deeplift/TAL1/hits.bed.gz", "x", "`seqlift hits`"),
        ("motifs/compendium/usage.tsv", "motif\n", "`seqlift compendium`"),
        ("motifs/compendium/grammar.svg", "<svg>", "`seqlift grammar`"),
        ("faithfulness/faithfulness.tsv", "output\n", "`seqlift faithfulness`"),
        ("aggregates/promoters/GATA1.deeplift.svg", "<svg>", "`seqlift aggregate`"),
    ],
)
def test_broken_findings_are_named_with_their_stage(tmp_path, name, content, expected):
    run, config = build_run(tmp_path, regions=120)
    add_findings(run, OUTPUTS, METHODS)
    (run / name).write_text(content)
    with pytest.raises(SeqliftError) as error:
        write_report(run, config, run / "report.html")
    assert str(run / name) in str(error.value) and expected in str(error.value)
    assert not (run / "report.html").exists()


# Regions


def test_steps_of_eight_bits_are_off_by_half_a_step():
    values = np.random.default_rng(0).normal(size=(5, 300)) * [[1], [1e-6], [1e3], [0], [7]]
    codes, steps = quantise(values, 127)
    assert np.abs(codes).max() == 127 and steps[3] == 0 and not codes[3].any()
    assert (np.abs(codes * steps[:, None] - values) <= steps[:, None] * 0.5 + 1e-12).all()


def unpack(block, length):
    """The reverse of `pack`, written from its description."""
    data = zlib.decompress(base64.b64decode(block))
    (size,) = struct.unpack_from("<I", data)
    about, at = json.loads(data[4 : 4 + size]), 4 + size
    for track in about["tracks"]:
        track["values"] = np.frombuffer(data, np.int8, length, at) * track["step"]
        at += length
        if "error" in track:
            track["errors"] = np.frombuffer(data, np.uint8, length, at) * track["error"]
            at += length
    for signal in about.get("predicted", []):
        codes = [np.frombuffer(data, np.uint8, length, at + length * i) for i in range(len(signal["strands"]))]
        signal["values"] = np.where(np.array(codes) > 0, (np.array(codes) - 1.0) * signal["step"], np.nan)
        at += length * len(codes)
    assert at == len(data)
    return about


def test_packed_regions_are_those_of_the_score_files(found):
    run = load_run(found[0])
    paths = {(i, method): run.scores(output, method) for i, output in enumerate(OUTPUTS) for method in METHODS}
    with open_scores(paths[1, "deeplift"]) as scores:
        name = scores.coords["name"][5]
        values, errors = scores.contributions[5].sum(axis=0), scores.standard_error[5]
        sequence = "".join("ACGT"[code] for code in scores.sequences[5].argmax(axis=0))
        prediction = float(scores.prediction[5])
    about = unpack(pack(collect_regions(pd.Series([name]), paths)[name]), 200)
    track = next(each for each in about["tracks"] if (each["output"], each["method"]) == (1, "deeplift"))
    assert about["sequence"] == sequence and track["prediction"] == pytest.approx(prediction, rel=1e-3)
    np.testing.assert_allclose(track["values"], values, atol=np.abs(values).max() / 250)
    np.testing.assert_allclose(track["errors"], errors, atol=errors.max() / 500)
    assert "path" not in track and any("path" in each for each in about["tracks"])


def test_blocks_hold_the_rows_that_are_wanted():
    rows = np.array([0, 3, 4, 11])
    assert [(start, list(here)) for start, here in row_blocks(12, rows, 4)] == [(0, [0, 3]), (4, [4]), (8, [11])]


def test_regions_are_chosen_in_turn_until_the_size_is_reached(tmp_path):
    ones = np.ones((6, 10), np.float32)
    a, b = ["a", "b", "c", "d", "e", "f"], ["x", "a", "y", "z", "w", "v"]
    paths = {"one": [write_scores(tmp_path / "1.h5", a, ones, prediction=[1.0, 6, 5, 4, 3, 2])]}
    paths["two"] = [write_scores(tmp_path / "2.h5", b, ones, prediction=[9.0, 8, 7, 6, 5, 4])]
    each = PER_BASE * 10 + PER_TRACK
    choice = choose_regions(paths, ["f", "elsewhere"], 10, budget=6 * each)
    # f is an example; then b and x in turn; c; a, which both have scored and counts twice
    assert set(choice.regions["name"]) == {"f", "b", "x", "c", "a"} and choice.scored == 11
    assert len(choose_regions(paths, [], 10).regions) == 11
    assert set(choose_regions(paths, ["f"], 10, budget=0).regions["name"]) == {"f"}


def test_regions_take_the_room_that_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr(page, "SIZE", 1)  # none is left
    run, config = build_run(tmp_path, targets=("GATA1",))
    text = write_report(run, config, run / "report.html").read_text(encoding="utf-8")
    index = json.loads(text.split('id="region-index">')[1].split("</script>")[0])
    assert len(index["names"]) == 1  # the example
    assert re.search(r"Here are 1 of \d+ scored regions", text) and "<code>seqlift browse</code>" in text


def test_examples_beyond_the_size_are_left_out(tmp_path):
    ones = np.ones((4, 10), np.float32)
    paths = {"one": [write_scores(tmp_path / "1.h5", ["a", "b", "c", "d"], ones)]}
    each = PER_BASE * 10 + PER_TRACK
    assert set(choose_regions(paths, ["c", "b", "a"], 10, budget=2 * each).regions["name"]) == {"c", "b"}


def test_the_page_keeps_its_size_where_regions_are_larger_than_reckoned(tmp_path, monkeypatch):
    run, config = build_run(tmp_path, targets=("GATA1",))
    monkeypatch.setattr(page, "SIZE", 1)
    least = len(write_report(run, config, run / "report.html").read_text(encoding="utf-8"))
    monkeypatch.setattr(page, "SIZE", least + 60_000)
    monkeypatch.setattr(region_choice, "PER_BASE", 0.01)
    monkeypatch.setattr(region_choice, "PER_TRACK", 0)
    text = write_report(run, config, run / "report.html").read_text(encoding="utf-8")
    assert least + 30_000 < len(text) <= least + 60_000


def test_pictures_beyond_their_room_are_left_out_and_counted(found, tmp_path, monkeypatch):
    assert "as the size of this page allows no more" not in found[1]
    run, config = build_run(tmp_path, examples=2, head="profile", targets=("GATA1",))
    add_findings(run, ["GATA1.counts", "GATA1.profile"], METHODS)
    shutil.copytree(run / "aggregates" / "promoters", run / "aggregates" / "terminators")
    for module, name in (
        *((motif_pages, name) for name in ("TABLE_LOGOS", "PAGE_LOGOS", "MEMBER_LOGOS")),
        *((pattern_tables, "LOGOS"), (explanations, "DRAWN"), (evidence, "SITE_FIGURES"), (performance, "PROFILES")),
    ):
        monkeypatch.setattr(module, name, 8)  # so that the first of each is shown
    text = write_report(run, config, run / "report.html").read_text(encoding="utf-8")
    assert "The last 2 motifs have no logos here" in text
    assert text.count("The size of this page allows no more logos") == 2
    assert text.count("The last 2 have no logos here") == 4  # tables of 3 patterns
    assert text.count("1 more is not drawn") == 1 and text.count("2 more are not drawn") == 1 + 1  # examples, profiles
    assert "The last 1 are not drawn here" in text


def test_no_examples_were_asked_for(tmp_path):
    run, config = build_run(tmp_path, targets=("GATA1",), examples=0)
    text = write_report(run, config, run / "report.html").read_text(encoding="utf-8")
    assert "#examples" not in text and 'id="examples"' not in text and "No region was scored" not in text
    assert "examples below" not in text and re.search(r"All \d+ scored regions are here", text)


def test_hits_of_an_output_that_did_not_score_the_region_are_not_on_it(found, tmp_path):
    """A region of TAL1 alone that overlaps one of GATA1: a hit of GATA1 there has no track to be drawn on."""
    run = tmp_path / "run"
    shutil.copytree(found[0], run)
    with open_scores(run / "scores" / "TAL1.deeplift.h5") as scores:
        own = scores.coords
    with open_scores(run / "scores" / "GATA1.deeplift.h5") as scores:
        region = own[~own["name"].isin(scores.coords["name"])].iloc[0]
    path = run / "motifs" / "deeplift" / "GATA1" / "hits.bed.gz"
    hits = pd.read_csv(path, sep="\t")
    start = int(region["start"]) + 3
    hits.iloc[0, :3] = region["chrom"], start, start + 6
    hits.sort_values(["#chrom", "start"]).to_csv(path, sep="\t", index=False)
    loaded = load_run(run)
    made = region_page(loaded, loaded.region_table(), entries_of(loaded), [])
    row = list(made.index["names"]).index(region["name"])
    on_it = made.hits[made.hits["region"] == row]
    assert len(on_it) and set(on_it["output"]) == {"TAL1"}


def test_predicted_signal_is_that_of_the_tracks(tmp_path):
    run, config = build_run(tmp_path, targets=("A", "B"), head="profile", strands=2, regions=60, methods=("deeplift",))
    loaded = load_run(run)
    table = loaded.region_table()
    regions = table[table["kind"] == "peak"].head(2)
    paths = {(0, "deeplift"): loaded.scores("A.counts", "deeplift")}
    data = list(collect_regions(regions["name"], paths).values())
    add_predicted(regions, data, predicted_tracks(loaded))
    for row, region in zip(regions.index, data, strict=True):
        found = unpack(pack(region), 200)["predicted"]
        assert [(each["target"], each["strands"]) for each in found] == [(0, ["+", "-"]), (1, ["+", "-"])]
        for strand, middle in enumerate((45, 72)):
            values = found[0]["values"][strand]
            expected = (1 + row % 5) * np.exp(-((np.arange(120) - middle) ** 2) / 60)
            np.testing.assert_allclose(values[40:160], expected, atol=(1 + row % 5) / 500)
            assert np.isnan(values[:40]).all() and np.isnan(values[160:]).all()
    (run / "tracks" / "B.predicted.minus.bw").write_bytes(b"no bigWig")
    with pytest.raises(SeqliftError, match=r"B\.predicted\.minus\.bw.*`seqlift tracks predicted`"):
        write_report(run, config, run / "report.html")


def test_overlaps_counted_by_hand():
    rng = np.random.default_rng(1)
    regions = pd.DataFrame({"chrom": rng.choice(["a", "b"], 40), "start": rng.integers(0, 900, 40)})
    regions = regions.assign(end=regions["start"] + 50).sort_values(["chrom", "start"], ignore_index=True)
    marks = pd.DataFrame({"chrom": rng.choice(["a", "b", "c"], 60), "start": rng.integers(0, 950, 60)})
    marks["end"] = marks["start"] + rng.integers(1, 30, 60)
    expected = {
        (i, j)
        for i, r in regions.iterrows()
        for j, m in marks.iterrows()
        if r.chrom == m.chrom and r.start < m.end and m.start < r.end
    }
    pairs = list(overlaps(regions, marks))
    assert set(pairs) == expected and len(pairs) == len(expected) > 20


def test_json_in_the_page_cannot_end_its_element():
    text = script_json({"name": "</script><!--&"})
    assert "<" not in text and "&" not in text and json.loads(text) == {"name": "</script><!--&"}


# Genes


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("g.bed", "chr1\t99\t200\tABC\t0\t-\nchr1\t5000\t5100\tFAR\t0\t+\n"),
        ("g.gff3", "##gff\nchr1\tx\tgene\t100\t200\t.\t-\t.\tID=1;Name=ABC\nchr1\tx\tmRNA\t1\t9\t.\t+\t.\tID=2\n"
         "chr1\tx\tpseudogene\t5001\t5100\t.\t+\t.\tgene=FAR%20\n"),
        ("g.gtf", 'chr1\tx\tgene\t100\t200\t.\t-\t.\tgene_id "1"; gene_name "ABC";\n'
         'chr1\tx\tgene\t5001\t5100\t.\t+\t.\tgene_id "FAR";\n'),
    ],
)  # fmt: skip
def test_genes_of_all_formats(tmp_path, name, text):
    path = tmp_path / f"{name}.gz"
    path.write_bytes(gzip.compress(text.encode()))
    genes = read_genes(path, ["chr1", "chr2"])
    rows = list(genes[["start", "end", "strand"]].itertuples(index=False, name=None))
    assert rows == [(99, 200, "-"), (5000, 5100, "+")] and [name.strip() for name in genes["name"]] == ["ABC", "FAR"]
    regions = pd.DataFrame({"chrom": ["chr1", "chr1", "chr2"], "start": [150, 20_000, 0], "end": [250, 20_100, 100]})
    first, second, third = neighbours(genes, regions)
    assert [(gene.name, gene.inside, gene.distance) for gene in first] == [("ABC", True, 1)]  # 5' end at 199
    assert second == [] and third == []  # both start over 10 kb away; no gene on chr2
    (near,) = neighbours(genes, pd.DataFrame({"chrom": ["chr1"], "start": [9000], "end": [9100]}))[0]
    assert (near.name.strip(), near.inside, near.distance) == ("FAR", False, 4050)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("g.txt", "x", "must end in"),
        ("g.bed", "chr1\t5\n", "line 1 "),
        ("g.gtf", "chr1\tx\texon\t1\t5\t.\t+\t.\t\n", "no gene in it"),
        ("g.gff3", "chr1\tx\tgene\tone\t5\t.\t+\t.\tID=1\n", "line 1 "),
        ("g.bed", "1\t5\t9\ta\n2\t5\t9\tb\nX\t1\t2\tc\n", r"2 of 3 genes .* 1, 2; it has chr1, chr2\. .*sed -e"),
        ("g.bed", "chr1\t5\t9\ta\n2\t5\t9\tb\n", r"1 of 2 genes .* names in another way: 2; .*sed -e 's/\^2\\t/chr2"),
        ("g.bed", "chrUn\t5\t9\ta\n", r"no gene lies on a chromosome of the run, which has chr1, chr2; .* chrUn"),
    ],
)
def test_bad_genes_are_named(tmp_path, name, text, expected):
    (tmp_path / name).write_text(text)
    with pytest.raises(SeqliftError, match=expected):
        read_genes(tmp_path / name, ["chr1", "chr2"])


# Motifs


def test_patterns_of_single_folds_are_members_and_no_more(tmp_path):
    """A fold's model explained by itself: its patterns are on the motif's page; hits and regions are the mean's."""
    run, config = build_run(tmp_path, folds=3)
    add_findings(run, OUTPUTS, METHODS)
    whole = entries_of(load_run(run))
    for part, name in (("scores", "TAL1.deeplift.h5"), ("motifs/deeplift", "TAL1")):
        target = run / part.replace("scores", "scores/fold1").replace("motifs", "motifs/fold1") / name
        target.parent.mkdir(parents=True)
        (shutil.copytree if part == "motifs/deeplift" else shutil.copyfile)(run / part / name, target)
    path = run / "motifs/compendium/members.tsv"
    members = pd.read_csv(path, sep="\t")
    one = members[(members["output"] == "TAL1") & (members["method"] == "deeplift")]
    pd.concat([members, one.assign(fold="1")]).to_csv(path, sep="\t", index=False)
    found = entries_of(load_run(run))
    assert sum(len(entry.members) for entry in found) == sum(len(entry.members) for entry in whole) + len(one)
    assert {member.fold for entry in found for member in entry.members} == {"", "1"}
    assert key_of(found) == key_of(whole) and not any(entry.leading.fold for entry in found)
    (windows,) = read_windows(load_run(run), [next(m for entry in found for m in entry.members if m.fold)])
    assert windows.total > 0
    text = write_report(run, config, run / "report.html").read_text(encoding="utf-8")
    assert text.count('<span class="soft">fold 1</span>') == len(one)
    assert "motifs/fold1/deeplift/TAL1/logos/" in text


def test_examples_of_a_motif_are_of_different_regions_and_places():
    rows = [  # region, chrom, start, contribution: the second is the first seen from another region
        *((0, "chr1", 100, 5.0), (1, "chr1", 100, 4.9), (0, "chr1", 160, 4.8)),
        *((2, "chr2", 100, -4.7), (3, "chr1", 112, 0.1), *((4 + i, "chr3", 100 * i, 0.05 / (i + 1)) for i in range(9))),
    ]
    hits = pd.DataFrame(rows, columns=["region", "chrom", "start", "contribution"])
    hits = hits.assign(end=hits["start"] + 12, output="a", method="deeplift", pattern="pos_0", strand="+", motif=0)
    pages = [{}]
    add_examples(pages, hits.sample(frac=1, random_state=1))
    assert [hit.region for hit in pages[0]["examples"]] == [0, 2, 3, 4, 5, 6]


def test_seqlets_are_oriented_by_the_strand_of_the_motif(tmp_path):
    """A word is on either strand, at the start of a region, too: all windows must read it in one column."""
    word, length = np.array([0, 2, 0, 3, 1]), 40  # AGATC
    codes = np.random.default_rng(2).integers(0, 4, (6, length))
    starts, reverse = np.array([10, 20, 0, 30, 35, 7]), np.array([0, 1, 0, 1, 0, 1], bool)
    for row, (start, reversed_) in enumerate(zip(starts, reverse, strict=True)):
        codes[row, start : start + 5] = 3 - word[::-1] if reversed_ else word
    contributions = np.zeros((6, length), np.float32)
    path = write_scores(tmp_path / "t.deeplift.h5", [f"r{i}" for i in range(6)], contributions)
    with h5py.File(path, "r+") as file:
        one_hot = encode(codes).astype(np.int8)
        file["raw/seq"][:], file["projected_shap/seq"][:] = one_hot, one_hot * np.arange(length) / 10
    matrix = np.full((4, 5), 0.25)
    for flipped in (False, True):
        # Stored with two more columns before the word: cut away in what is shown
        wide = np.hstack([np.full((4, 2), 0.25), matrix])
        stored = np.where(reverse, starts, starts - 2)
        pattern = StoredPattern("pos_0", wide, wide, wide, 2, 7, flipped, np.arange(6), stored, reverse)
        run = SimpleNamespace(scores=lambda output, method, fold: path)
        (windows,) = read_windows(run, [Member("t", "deeplift", "", pattern, {}, reverse=False)])
        expected = 3 - word[::-1] if flipped else word
        assert (windows.bases[:, FLANK : FLANK + 5] == expected).all() and windows.total == 6
        (again,) = read_windows(run, [Member("t", "deeplift", "", pattern, {}, reverse=True)])
        assert (again.bases[:, FLANK : FLANK + 5] == 3 - expected[::-1]).all()
        assert (windows.bases == 4).any()  # beyond the region


def test_known_motif_is_moved_and_reverse_complemented_onto_the_pattern():
    rng = np.random.default_rng(3)
    pattern = rng.dirichlet(np.full(4, 0.2), 12).T
    for known, offset in ((pattern[:, 3:9], 3), (pattern[::-1, ::-1][:, 2:8], 4), (pattern, 0)):
        oriented, found = lay_known(pattern, known)
        assert found == offset
        np.testing.assert_allclose(oriented, pattern[:, offset : offset + known.shape[1]])


def test_a_link_to_a_hit_stays_on_the_chromosome():
    assert Hit(0, "a", "deeplift", 5, 12, "+", 1.0).stretch == "0-32"
    assert Hit(0, "a", "deeplift", 500, 512, "+", 1.0).stretch == "480-532"


def test_dots_of_many_regions_are_a_choice():
    def dots(n):
        values = np.random.default_rng(0).uniform(0.2, 0.9, n)
        return unquote(mutagenesis_agreement({"deeplift": values}, "Pearson").source).count("<use ")

    assert dots(50) - dots(40) == 10 and dots(3 * DOTS) == dots(2 * DOTS) < dots(50) + DOTS


def test_letters_fill_their_box():
    for outline in outlines().values():
        x, y = np.array(re.findall(r"(-?[\d.]+) (-?[\d.]+)", outline), float).T
        assert (x.min(), x.max(), y.min(), y.max()) == (0, 100, 0, 100)


def test_logo_stacks_the_letters_of_its_matrix():
    svg = unquote(logo_image(np.array([[1.0, 0], [0.5, 0], [0, -1], [0, 0]]), "x", height=42).source)
    drawn = [part.split("'")[0] for part in svg.split("href='#")[1:]]
    assert drawn == ["C", "A", "G"] and set(outlines()) == set("ACGT")
    heights = [float(part.split(",")[3]) * 100 for part in svg.split("matrix(")[1:]]
    assert heights == pytest.approx([8, 16, -16], abs=0.1)  # 40 pixels for 2.5 units, G upside down
