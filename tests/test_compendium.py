"""The compendium: what is merged and what is not, the consensus, and where its motifs are used."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from fixtures.compendium import database, pattern, word, write_folder, write_hits
from seqlift.cli import main
from seqlift.errors import SeqliftError
from seqlift.motifs.alignment import align
from seqlift.motifs.compendium.build import CompendiumSettings, build_compendium, read_compendium
from seqlift.motifs.compendium.drawing import draw_compendium
from seqlift.motifs.compendium.merging import Found, cluster
from seqlift.motifs.compendium.sites import Placement, motif_sites
from seqlift.motifs.database import read_meme
from seqlift.motifs.folder import StoredPattern

FIRST, SECOND = "TTGACCGTTACA", "CCATATGGAACG"
KNOWN = database(("FACTOR", FIRST), ("PARTNER", SECOND))


def reverse_complement(matrix):
    return matrix[::-1, ::-1]


def build(folders, output, **settings):
    return build_compendium(folders, output, database=KNOWN, settings=CompendiumSettings(**settings))


def members(motif):
    return {(one.found.output, one.found.method, one.found.pattern.name) for one in motif.members}


def noisy(pfm, rng, seqlets):
    """A PFM estimated from this number of sites."""
    counts = np.stack([rng.multinomial(seqlets, column / column.sum()) for column in pfm.T], axis=1)
    return (counts + 0.25) / (seqlets + 1)


def test_alignment_is_the_best_of_all_offsets_and_strands():
    rng = np.random.default_rng(0)
    one, others = rng.normal(size=(4, 7)), [rng.normal(size=(4, width)) for width in (3, 7, 12)]
    cosine, offset, reverse = align(one, others)
    for i, other in enumerate(others):
        tried = []
        for back in (False, True):
            for shift in range(-other.shape[1] + 1, 7):
                canvas = np.zeros((2, 4, 40))
                canvas[0, :, 15:22] = one
                canvas[1, :, 15 + shift : 15 + shift + other.shape[1]] = reverse_complement(other) if back else other
                tried.append(((canvas[0] * canvas[1]).sum(), shift, back))
        best = max(tried)
        assert cosine[i] == pytest.approx(best[0] / np.linalg.norm(one) / np.linalg.norm(other))
        assert (offset[i], reverse[i]) == best[1:]


def test_one_motif_from_two_methods_is_merged_whatever_its_strand_and_trimming(tmp_path):
    """One method shows it reverse-complemented, two columns shorter; both are laid on each other and named."""
    shorter = reverse_complement(word(FIRST[:-2]))
    folders = [
        write_folder(tmp_path / "a", [pattern(word(FIRST), seqlets=80), pattern(word(SECOND), name="pos_1")]),
        write_folder(tmp_path / "b", [pattern(shorter, seqlets=60, flipped=True)], method="interior_gradients"),
    ]
    motifs = build(folders, tmp_path / "out")
    assert [one.match.match_name for one in motifs] == ["FACTOR", "PARTNER"]
    assert members(motifs[0]) == {("factor", "deeplift", "pos_0"), ("factor", "interior_gradients", "pos_0")}
    first, second = motifs[0].members
    assert (first.reverse, second.reverse) == (False, True)
    assert (first.offset, second.offset) == (2, 2)  # the consensus keeps two flat columns on either side
    # 80 seqlets with the last two columns, 60 with flat ones there.
    expected = word(FIRST)
    expected[:, -2:] = (80 * expected[:, -2:] + 60 * 0.25) / 140
    np.testing.assert_allclose(motifs[0].frequencies[:, 2:14], expected, atol=1e-6)
    np.testing.assert_allclose(motifs[0].frequencies[:, [0, 1, 14, 15]], 0.25)


def test_offsets_lay_every_logo_on_the_consensus(tmp_path):
    """Wherever a member was cut and on either strand, its columns align with the similar ones of the consensus."""
    rng = np.random.default_rng(1)
    full = word("GCTTGACCGTTACATC")
    cuts, folders = [(0, 16), (1, 15), (1, 16), (0, 15)], []
    for i, (start, end) in enumerate(cuts):
        shown = noisy(full[:, start:end], rng, 200)
        one = pattern(reverse_complement(shown) if i % 2 else shown, seqlets=100 - i, flipped=i > 1)
        folders.append(write_folder(tmp_path / f"f{i}", [one], output=f"t{i}"))
    (motif,) = build(folders, tmp_path / "out")
    assert len(motif.members) == 4
    letters = "".join("ACGT"[i] for i in motif.frequencies.argmax(axis=0))
    straight = "GACCGTTA" in letters  # or the consensus reads the other way
    begin = []  # where the whole of it begins on the consensus, by each member
    for member in motif.members:
        start, end = cuts[int(member.found.output[1])]
        begin.append(member.offset - (start if straight else 16 - end))
    assert len(set(begin)) == 1
    assert sorted(one.reverse for one in motif.members) == [False, False, True, True]


def test_patterns_of_opposite_sign_never_merge(tmp_path):
    both = [pattern(word(FIRST), name="pos_0"), pattern(word(FIRST), name="neg_0")]
    motifs = build([write_folder(tmp_path / "a", both)], tmp_path / "out")
    assert sorted(one.sign for one in motifs) == ["negative", "positive"]
    assert set(read_meme(tmp_path / "out" / "compendium.meme")) == {"m_0"}
    assert set(read_meme(tmp_path / "out" / "compendium_negative.meme")) == {"m_1"}


def test_a_chain_of_likeness_does_not_join_what_is_unlike(tmp_path):
    """The middle one is like both ends (cosine 0.97), the ends are not like each other (0.89)."""
    left, right = word("TTGACCGTTACA"), word("TTGACCATTACA")
    chain = [("left", left, 52), ("middle", (left + right) / 2, 51), ("right", right, 50)]
    folders = [write_folder(tmp_path / name, [pattern(pfm, seqlets=n)], output=name) for name, pfm, n in chain]
    motifs = build(folders, tmp_path / "out")
    together = [{one[0] for one in members(motif)} for motif in motifs]
    assert len(motifs) == 2 and not any({"left", "right"} <= one for one in together)
    assert len(build(folders, tmp_path / "out", similarity=0.85)) == 1


def test_a_motif_is_not_merged_with_a_pair_that_holds_it(tmp_path):
    """Alike beyond chance, and yet half of the pair is something else."""
    pair = word(FIRST + "NNN" + SECOND)
    motifs = build([write_folder(tmp_path / "a", [pattern(pair), pattern(word(FIRST), name="pos_1")])], tmp_path / "o")
    assert len(motifs) == 2


def test_unlike_patterns_stay_apart_and_noisy_copies_merge():
    """60 patterns with their columns shuffled, and two noisy copies of each of 20 others."""
    rng = np.random.default_rng(2)
    random = [rng.dirichlet([0.2] * 4, int(rng.integers(8, 20))).T for _ in range(60)]
    planted = [rng.dirichlet([0.1] * 4, int(rng.integers(10, 20))).T for _ in range(20)]
    first = random + [noisy(one, rng, 50) for one in planted]
    second = [reverse_complement(noisy(one, rng, 50)) for one in planted]
    patterns = [
        Found("factor", method, None, stored(pfm, f"pos_{i}"))
        for method, pfms in (("deeplift", first), ("interior_gradients", second))
        for i, pfm in enumerate(pfms)
    ]
    right = {frozenset({("deeplift", f"pos_{60 + i}"), ("interior_gradients", f"pos_{i}")}) for i in range(20)}
    found = {
        frozenset((one.method, one.pattern.name) for one in group) for group in cluster(patterns, KNOWN, 0.01, 0.9)
    }
    assert len(right & found) >= 18
    assert sum(len(one) > 1 for one in found - right) == 0


def test_equal_patterns_are_one_motif_whatever_rounding_makes_of_their_cosine():
    rng = np.random.default_rng(5)
    pfms = (rng.dirichlet([0.3] * 4, 12).T for _ in range(5000))
    above = next(pfm for pfm in pfms if align(pfm - 0.25, [pfm - 0.25])[0][0] > 1)
    patterns = [Found(output, "deeplift", None, stored(above, "pos_0")) for output in ("a", "b", "c")]
    assert [len(group) for group in cluster(patterns, KNOWN, 0.01, 0.9)] == [3]


def stored(pfm, name):
    nothing = np.zeros(0, int)
    return StoredPattern(name, pfm, pfm - 0.25, pfm - 0.25, 0, pfm.shape[1], False, nothing, nothing, nothing)


def everything(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_order_of_the_folders_changes_nothing(tmp_path):
    rng = np.random.default_rng(3)
    folders = []
    for i in range(5):
        pfms = [noisy(word(FIRST), rng, 60), noisy(word(SECOND), rng, 60)]
        patterns = [pattern(pfm, name=f"pos_{j}", seqlets=50) for j, pfm in enumerate(pfms)]
        hits = [("pos_0", f"r{i}", 100, 112, "+", 1.0, 3), ("pos_1", "r9", 130, 142, "-", 2.0, -7.5)]
        folders.append(write_folder(tmp_path / f"f{i}", patterns, output=f"t{i}", hits=hits))
    build(folders, tmp_path / "one")
    build(folders[::-1], tmp_path / "two")
    assert everything(tmp_path / "one") == everything(tmp_path / "two")
    assert len(everything(tmp_path / "one")) == 7


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("strand", ["+", "-"])
@pytest.mark.parametrize("offset", [-3, 0, 4])
def test_hits_of_a_pattern_say_where_the_motif_lies(strand, reverse, offset):
    """A consensus of 12 bp at 500 on either strand, found by a pattern of 9 bp that lies on it somehow."""
    along = range(offset, offset + 9)  # positions of the consensus under the pattern
    start = 500 + (along[0] if strand == "+" else 12 - 1 - along[-1])
    seen = strand if not reverse else {"+": "-", "-": "+"}[strand]
    hits = table([("pos_0", "r", start, start + 9, seen, 1.0, start + 4.5 - 600)])
    sites = motif_sites(hits, {"pos_0": Placement(3, reverse, offset, 12)}, "hits")
    row = sites.iloc[0]
    assert tuple(row[["motif", "start", "end", "strand", "distance"]]) == (3, 500, 512, strand, 506 - 600)


def table(hits):
    columns = ["pattern", "region", "start", "end", "strand", "contribution", "distance"]
    types = dict.fromkeys(["pattern", "region", "strand"], "category")
    return pd.DataFrame(hits, columns=columns).astype(types)


def test_what_two_patterns_claim_is_one_site_the_stronger():
    hits = [
        ("pos_0", "a", 100, 112, "+", 1.0, 0),
        ("pos_1", "a", 102, 114, "-", -3.0, 2),  # nearer than 6 bp to the first and to the next
        ("pos_0", "a", 107, 119, "+", 2.0, 7),
        ("pos_0", "a", 108, 120, "+", 0.5, 8),  # as far as half the width from the strongest
        ("pos_0", "b", 100, 112, "+", 1.0, 0),
    ]
    same = {name: Placement(0, False, 0, 12) for name in ("pos_0", "pos_1")}
    sites = motif_sites(table(hits), same, "hits")
    assert list(zip(sites["region"], sites["start"], strict=True)) == [("a", 102), ("a", 108), ("b", 100)]
    other = same | {"pos_1": Placement(1, False, 0, 12)}
    assert len(motif_sites(table(hits), other, "hits")) == 4  # of another motif it stays


def test_the_tables_count_what_is_there(tmp_path):
    hits = [
        ("pos_0", "r1", 1000, 1012, "+", 2.0, -4),
        ("pos_0", "r1", 1050, 1062, "-", 1.0, 46),
        ("pos_0", "r2", 3000, 3012, "+", 3.0, 0),
    ]
    own = [pattern(word(FIRST), seqlets=80, left=0, right=0)]
    folders = [
        write_folder(tmp_path / "a", own, hits=hits, regions=10),
        write_folder(tmp_path / "b", own, method="interior_gradients", hits=hits[:1], regions=8),
        write_folder(tmp_path / "c", [], output="empty"),
    ]
    build(folders, tmp_path / "out")
    found = read_compendium(tmp_path / "out")
    (row,) = found.motifs.to_dict("records")
    assert (row["seqlets"], row["hits"], row["regions"], row["members"]) == (160, 4, 2, 2)
    assert (row["outputs"], row["methods"], row["name"]) == ("factor", "deeplift;interior_gradients", "FACTOR")
    assert row["consensus"] == FIRST and float(row["gc"]) == pytest.approx(0.44 * 5 / 12 + 0.5 * 0, abs=0.3)
    usage = pd.read_csv(tmp_path / "out" / "usage.tsv", sep="\t").set_index("method")
    assert usage.loc["deeplift", ["regions_searched", "regions", "share", "hits"]].tolist() == [10, 2, 0.2, 3]
    assert usage.loc["deeplift", ["mean_contribution", "distance_median", "distance_abs_median"]].tolist() == [2, 0, 4]
    assert usage.loc["interior_gradients", ["regions_searched", "regions", "hits"]].tolist() == [8, 1, 1]
    positions = pd.read_csv(tmp_path / "out" / "positions.tsv", sep="\t")
    own = positions[positions["method"] == "deeplift"].set_index("bin_start")["hits"]
    assert own[own > 0].to_dict() == {-10: 1, 0: 1, 40: 1} and list(own.index) == list(range(-10, 50, 10))
    assert (found.members["hits"].tolist(), found.members["regions"].tolist()) == ([3, 1], [2, 1])
    matrices = found.summary["motifs"]["m_0"]
    np.testing.assert_allclose(np.array(matrices["hcwm"]), 2 * np.array(matrices["cwm"]), atol=1e-5)


def test_the_mean_of_all_folds_speaks_for_them(tmp_path):
    """Mean and folds explain the same regions: members of the motif are all of them, sites those of the mean."""
    own = [pattern(word(FIRST))]
    hits = [("pos_0", "r1", 1000, 1012, "+", 2.0, -4), ("pos_0", "r2", 2000, 2012, "+", 2.0, 4)]
    folders = [
        write_folder(tmp_path / f"f{fold}", own, fold=fold, hits=hits[: 2 if fold is None else 1], regions=10)
        for fold in (None, 0, 1)
    ]
    build(folders, tmp_path / "out")
    usage = pd.read_csv(tmp_path / "out" / "usage.tsv", sep="\t")
    assert usage[["regions_searched", "regions", "hits"]].values.tolist() == [[10, 2, 2]]
    found = read_compendium(tmp_path / "out")
    assert found.motifs[["hits", "regions", "members"]].values.tolist() == [[2, 2, 3]]
    assert found.members["fold"].tolist() == ["", "0", "1"] and found.members["hits"].tolist() == [2, 1, 1]
    assert pd.read_csv(tmp_path / "out" / "positions.tsv", sep="\t")["hits"].sum() == 2


def test_folds_add_up(tmp_path):
    """Each fold has regions of its own, which may have names of others."""
    own, hit = [pattern(word(FIRST))], [("pos_0", "r1", 1000, 1012, "+", 2.0, -4)]
    folders = [write_folder(tmp_path / f"f{i}", own, fold=i, hits=hit, regions=10) for i in (0, 1)]
    build(folders, tmp_path / "out")
    usage = pd.read_csv(tmp_path / "out" / "usage.tsv", sep="\t")
    assert usage[["regions_searched", "regions", "hits"]].values.tolist() == [[20, 2, 2]]
    assert read_compendium(tmp_path / "out").members["fold"].tolist() == ["0", "1"]


def test_nothing_found_is_a_valid_compendium(tmp_path):
    folders = [write_folder(tmp_path / "a", []), write_folder(tmp_path / "b", [], method="interior_gradients")]
    assert build(folders, tmp_path / "out") == []
    found = read_compendium(tmp_path / "out")
    assert len(found.motifs) == len(found.members) == 0 and "No motifs" in found.summary["message"]
    assert (tmp_path / "out" / "compendium.meme").read_text().startswith("MEME version 4")
    for name in ("usage.tsv", "positions.tsv"):
        assert len((tmp_path / "out" / name).read_text().splitlines()) == 1


def meme_file(path):
    path.write_text("MEME version 4\nALPHABET= ACGT\nMOTIF one\nletter-probability matrix: w= 2\n" + "1 0 0 0\n" * 2)
    return str(path)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda folder: (folder / "hits.bed.gz").unlink(), ["hits.bed.gz: no such file", "seqlift hits"]),
        (lambda folder: (folder / "hits.json").unlink(), ["hits.json: no such file", "seqlift hits"]),
        (lambda folder: (folder / "hits.json").write_text("[]"), ["hits.json", "`regions`"]),
        (lambda folder: (folder / "hits.bed.gz").write_bytes(b"no gzip"), ["hits.bed.gz", "cannot be read"]),
        (
            lambda folder: (folder / "hits.bed.gz").write_bytes((folder / "hits.bed.gz").read_bytes()[:-30]),
            ["hits.bed.gz", "cannot be read"],
        ),
        (
            lambda folder: write_hits(folder, [("pos_7", "r", 1, 13, "+", 1, 0)], 10),
            ["hits.bed.gz", "'pos_7'", "again"],
        ),
        (
            lambda folder: write_hits(folder, [("pos_0", "r", 1, 13, "+", 1, 0), ("pos_0", "r", 1, 13, ".", 1, 0)], 10),
            ["hits.bed.gz", "line 3", "strand"],
        ),
        (
            lambda folder: write_hits(folder, [("pos_0", "r", 1, 13, "+", "nan", 0)], 10),
            ["hits.bed.gz", "line 2", "not finite"],
        ),
        (lambda folder: (folder / "motifs.json").unlink(), ["motifs.json: no such file", "seqlift motifs"]),
    ],
)
def test_a_broken_folder_is_named_and_nothing_good_is_lost(tmp_path, capsys, spoil, words):
    folder = write_folder(tmp_path / "a", [pattern(word(FIRST))], hits=[("pos_0", "r", 1, 13, "+", 1, 0)])
    command = ["compendium", "--motifs", str(folder), "--database", meme_file(tmp_path / "k.meme"), "--output-dir",
               str(tmp_path / "out")]  # fmt: skip
    assert main(command) == 0
    assert "1 patterns are 1 motifs" in capsys.readouterr().out
    before = everything(tmp_path / "out")
    spoil(folder)
    assert main(command) == 1
    message = capsys.readouterr().err
    assert message.count("\n") == 1 and all(part in message for part in words), message
    assert everything(tmp_path / "out") == before


def test_a_folder_named_twice_is_refused(tmp_path):
    folder = write_folder(tmp_path / "a", [pattern(word(FIRST))])
    shutil.copytree(folder, tmp_path / "b")
    with pytest.raises(SeqliftError, match="'factor' by deeplift"):
        build([folder, tmp_path / "b"], tmp_path / "out")


@pytest.mark.parametrize("key", ["threshold", "similarity", "naming_threshold"])
@pytest.mark.parametrize("value", [0, 1.5, float("nan")])
def test_settings_out_of_range_are_refused(key, value):
    with pytest.raises(SeqliftError, match=f"`{key}`"):
        CompendiumSettings(**{key: value})


def test_logos_of_the_compendium(tmp_path, capsys):
    """Every consensus on both strands, named ones above their known motif, and all on one sheet; old ones go."""
    folder = write_folder(tmp_path / "a", [pattern(word(FIRST)), pattern(word("GGGGCCATTTACT"), name="neg_0")])
    build([folder], tmp_path / "out")
    logos = tmp_path / "out" / "logos"
    logos.mkdir()
    (logos / "m_7.cwm.svg").write_text("of an earlier run")
    (logos / "notes.txt").write_text("notes")
    manifest = draw_compendium(tmp_path / "out", logos, database=KNOWN, colours="colour-blind")
    files = {path.name for path in logos.iterdir()}
    assert files == {
        "logos.json",
        "notes.txt",
        *manifest["overview"],
        *(f for m in manifest["patterns"] for f in m["files"]),
    }
    for motif in ("m_0", "m_1"):
        for kind in ("cwm", "hcwm", "pfm"):
            assert {
                f"{motif}.{kind}{side}.{form}" for side in ("", ".reverse") for form in ("svg", "png", "pdf")
            } <= files
    (named,) = (one for one in manifest["patterns"] if one["match"])
    assert named["match"] == {"match_id": "id_FACTOR", "name": "FACTOR", "offset": 2}
    assert f"{named['pattern']}.match.pdf" in files
    before = everything(logos)
    known = meme_file(tmp_path / "k.meme")
    command = ["logos", "--compendium", str(tmp_path / "out"), "--database", known, "--output-dir", str(logos)]
    assert main(command) == 1
    assert "'id_FACTOR', which k.meme" in capsys.readouterr().err
    assert everything(logos) == before


def test_logos_of_nothing_say_why(tmp_path):
    build([write_folder(tmp_path / "a", [])], tmp_path / "out")
    assert draw_compendium(tmp_path / "out", tmp_path / "logos", database=KNOWN)["patterns"] == []
    assert (tmp_path / "logos" / "overview.png").stat().st_size > 1000


def test_what_was_made_of_older_motifs_is_gone(tmp_path):
    """A grammar and logos that name motifs of the compendium before are not taken for those of this one."""
    folder = write_folder(tmp_path / "a", [pattern(word(FIRST))])
    build([folder], tmp_path / "out")
    (tmp_path / "out" / "logos").mkdir()
    for name in ("grammar.tsv", "logos/logos.json", "notes.txt"):
        (tmp_path / "out" / name).write_text("older")
    build([folder], tmp_path / "out")
    assert not (tmp_path / "out" / "grammar.tsv").exists() and not (tmp_path / "out" / "logos" / "logos.json").exists()
    assert (tmp_path / "out" / "notes.txt").exists()


def test_reading_a_broken_compendium_says_so(tmp_path):
    build([write_folder(tmp_path / "a", [pattern(word(FIRST))])], tmp_path / "out")
    (tmp_path / "out" / "members.tsv").write_text("motif\nm_0\n")
    with pytest.raises(SeqliftError, match=r"members.tsv: cannot be read .*seqlift compendium"):
        read_compendium(tmp_path / "out")
    (tmp_path / "out" / "compendium.json").write_text(json.dumps({"format": "seqlift compendium 0"}))
    with pytest.raises(SeqliftError, match=r"compendium.json: .*format.*seqlift compendium 1"):
        read_compendium(tmp_path / "out")
    with pytest.raises(SeqliftError, match="no such file"):
        read_compendium(tmp_path / "nowhere")
