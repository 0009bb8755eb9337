"""Logos show the heights they are given, as logomaker would, in small files that come out the same each time."""

import itertools
import json
import shutil
from pathlib import Path

import logomaker
import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from fixtures.motif import FIRST, SECOND, frequencies, place, planted, reverse_complement, write_scores
from seqlift.cli import main
from seqlift.errors import SeqliftError
from seqlift.motifs.alignment import lay_known
from seqlift.motifs.database import Database
from seqlift.motifs.drawing import KnownMotif, Shown, draw_logos, find_motifs, match_figure, overview_figure
from seqlift.motifs.folder import read_motifs
from seqlift.motifs.information import information_content, informative_range
from seqlift.motifs.logos import (
    COLOUR_BLIND,
    COLOURS,
    FONT,
    FORMATS,
    KINDS,
    PALETTES,
    choose_palette,
    common_limits,
    draw_logo,
    pattern_figure,
    save_figure,
    save_logos,
    svg_text,
)


def letters(ax):
    """{colour: bounding boxes (x0, y0, x1, y1) of its letters}, left to right and upwards."""
    found = {}
    for patch in ax.patches:
        boxes = []
        path = patch.get_path()
        begins = np.flatnonzero(path.codes == path.MOVETO)
        for begin, end in zip(begins, [*begins[1:], len(path.codes)], strict=True):
            corners = path.vertices[begin:end][path.codes[begin:end] != path.CLOSEPOLY]
            boxes.append((*corners.min(axis=0), *corners.max(axis=0)))
        found.setdefault(matplotlib.colors.to_hex(patch.get_facecolor()), []).extend(boxes)
    return {colour: np.array(sorted(boxes)).round(6) for colour, boxes in found.items()}


def test_letters_have_the_size_and_place_that_logomaker_gives_them():
    matrix = np.random.default_rng(0).normal(size=(4, 12))
    ours, theirs = Figure().subplots(1, 2)
    draw_logo(ours, matrix)
    logomaker.Logo(
        pd.DataFrame(matrix.T, columns=list("ACGT")), ax=theirs, color_scheme=COLOURS, font_name=FONT, width=0.96
    )
    left, right = letters(ours), letters(theirs)
    assert set(left) == set(right) == set(COLOURS.values())
    for colour in left:
        np.testing.assert_allclose(left[colour], right[colour], atol=1e-5)


def test_a_letter_reaches_from_the_line_to_its_height_at_its_coordinate():
    matrix = np.zeros((4, 5))
    matrix[0, 1], matrix[3, 4] = 2.0, -0.5
    ax = Figure().add_subplot()
    draw_logo(ax, matrix, first=1000)
    (up,) = [patch for patch in ax.patches if matplotlib.colors.to_hex(patch.get_facecolor()) == COLOURS["A"]]
    (down,) = [patch for patch in ax.patches if matplotlib.colors.to_hex(patch.get_facecolor()) == COLOURS["T"]]
    box = up.get_path().get_extents()
    assert (box.y0, box.y1) == (0, 2) and (box.x0 + box.x1) / 2 == pytest.approx(1001)
    box = down.get_path().get_extents()
    assert (box.y0, box.y1) == (-0.5, 0) and (box.x0 + box.x1) / 2 == pytest.approx(1004)
    assert ax.get_xlim() == (999.5, 1004.5)


def test_a_logo_of_nothing_is_an_empty_line():
    ax = Figure().add_subplot()
    draw_logo(ax, np.zeros((4, 7)))
    assert not ax.patches and ax.get_xlim() == (-0.5, 6.5)


@pytest.mark.parametrize("matrix", [np.zeros((5, 4)), np.zeros((4, 0)), np.zeros(4), np.full((4, 3), np.nan)])
def test_a_matrix_that_is_no_logo_is_refused(matrix):
    with pytest.raises(ValueError, match="`matrix`"):
        draw_logo(Figure().add_subplot(), matrix)


def test_information_is_two_bits_for_a_base_that_never_varies_and_none_for_chance():
    frequencies = np.array([[1, 0, 0, 0], [0.5, 0.5, 0, 0], [0.25] * 4, [0] * 4]).T
    heights = information_content(frequencies)
    np.testing.assert_allclose(heights.sum(axis=0), [2, 1, 0, 0])
    np.testing.assert_allclose(heights[:, 1], [0.5, 0.5, 0, 0])


def test_the_informative_part_is_what_reaches_a_third_of_the_peak_and_two_bases_on_either_side():
    weights = np.zeros((4, 20))
    weights[0, 8], weights[1, 12], weights[2, 11] = 1.0, -0.31, 0.05
    weights[3, 3] = 0.29
    assert informative_range(weights) == (6, 15)
    assert informative_range(weights, flank=0) == (8, 13)
    assert informative_range(weights[:, 8:13]) == (0, 5)
    assert informative_range(np.zeros((4, 9))) == (0, 9)


def test_files_come_out_the_same_and_small(tmp_path):
    matrix = information_content(np.random.default_rng(0).dirichlet([0.3] * 4, 25).T)
    for name in ("one", "two"):
        save_figure(pattern_figure(matrix, ylabel="bits", title="GATA1"), tmp_path / name)
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    assert (tmp_path / "one.svg").stat().st_size < 100_000
    assert "<text" not in (tmp_path / "one.svg").read_text()  # letters are paths: no font is needed to show it
    image = imread(tmp_path / "one.png")
    assert image.shape[1] > 800 and image[..., :3].std() > 0.1


def test_global_plotting_state_stays_untouched():
    from matplotlib import pyplot

    before = pyplot.get_fignums(), dict(matplotlib.rcParams)
    svg_text(pattern_figure(np.eye(4), ylabel="bits"))
    assert (pyplot.get_fignums(), dict(matplotlib.rcParams)) == before


def test_common_limits_hold_the_letters_of_all():
    one, other = np.zeros((4, 3)), np.zeros((4, 5))
    one[0, 1], one[1, 1], other[2, 4] = 0.5, 0.5, -2.0
    low, high = common_limits("cwm", [one, other])
    assert -2.1 < low < -2.0 and 1.0 < high < 1.1
    assert common_limits("cwm", [one])[0] == 0 and common_limits("cwm", [other])[1] == 0
    assert common_limits("pfm", [one]) == (0, 2) and common_limits("hcwm", []) == (0, 1)


def test_the_reverse_logo_is_the_other_strand_on_the_same_scale(tmp_path):
    matrix = np.abs(np.random.default_rng(0).normal(size=(4, 6)))
    matrices = {"cwm": matrix, "hcwm": -matrix, "pfm": matrix / matrix.sum(axis=0)}
    limits = {"cwm": (0, 5), "hcwm": (-5, 0), "pfm": (0, 2)}
    files = save_logos(tmp_path, "m", matrices, limits, COLOUR_BLIND)
    assert set(files) == {path.name for path in tmp_path.iterdir()} and len(files) == 18
    for kind, heights in {**matrices, "pfm": information_content(matrices["pfm"])}.items():
        for name, strand in ((f"m.{kind}", heights), (f"m.{kind}.reverse", heights[::-1, ::-1])):
            wanted = pattern_figure(strand, ylabel=KINDS[kind], limits=limits[kind], palette=COLOUR_BLIND)
            assert (tmp_path / f"{name}.svg").read_text() == svg_text(wanted)
    assert (tmp_path / "m.pfm.pdf").read_bytes().startswith(b"%PDF")
    save_logos(tmp_path / "again", "m", matrices, limits, COLOUR_BLIND)
    for name in files:
        assert (tmp_path / name).read_bytes() == (tmp_path / "again" / name).read_bytes(), name


# Machado, Oliveira & Fernandes, IEEE Trans. Vis. Comput. Graph. 15:1291 (2009), full severity, on linear RGB
SIMULATED = {
    "normal": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def lab(colour, sight):
    """CIELAB (D65) of a colour as someone with that sight sees it."""
    rgb = np.array(matplotlib.colors.to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.array(SIMULATED[sight]) @ linear, 0, 1)
    to_xyz = [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
    xyz = np.array(to_xyz) @ seen / [0.95047, 1, 1.08883]
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def nearest(palette):
    pairs = itertools.combinations(palette.values(), 2)
    return min(np.linalg.norm(lab(a, sight) - lab(b, sight)) for a, b in pairs for sight in SIMULATED)


def test_colour_blind_people_can_tell_these_letters_apart():
    assert nearest(COLOUR_BLIND) > 45 and nearest(COLOURS) < 14.5
    assert all(lab(colour, "normal")[0] < 75 for colour in COLOUR_BLIND.values())  # and from the white page
    assert all(list(palette) == list("ACGT") for palette in PALETTES.values())
    with pytest.raises(SeqliftError, match=r"`colours` \(='loud'\) must be one of classic, colour-blind"):
        choose_palette("loud")


def known_motifs():
    """The planted motifs: the first with two bases before it, the second cut and on the other strand."""
    rng = np.random.default_rng(8)
    others = [rng.dirichlet([0.1] * 4, rng.integers(7, 13)).T for _ in range(40)]
    wide = np.hstack([np.full((4, 2), 0.25), frequencies(FIRST)])
    matrices = (wide, reverse_complement(frequencies(SECOND))[:, 1:], *others)
    ids = ("K1", "K2", *(f"X{i}" for i in range(40)))
    return Database("known", "", ids, ("first & <b>", "second", *ids[2:]), matrices)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Motifs of 300 regions, found and drawn."""
    folder = tmp_path_factory.mktemp("drawn")
    sequences, hypothetical, _ = planted(300, 120)
    scores = write_scores(folder / "scores.h5", place(300, 120), sequences, hypothetical)
    find_motifs(scores, folder / "out", database=known_motifs())
    return folder / "out"


def test_every_logo_is_drawn_and_listed(drawn):
    motifs, manifest = read_motifs(drawn), json.loads((drawn / "logos/logos.json").read_text())
    assert manifest["format"] == "seqlift logos 1" and manifest["target"] == "factor"
    listed = {name for entry in manifest["patterns"] for name in entry["files"]} | set(manifest["overview"])
    assert {path.name for path in (drawn / "logos").iterdir()} == listed | {"logos.json"}
    parts = [*KINDS, *(f"{kind}.reverse" for kind in KINDS), "match"]
    for entry, pattern in zip(manifest["patterns"], motifs.patterns, strict=True):
        assert entry["pattern"] == pattern.name and entry["width"] == pattern.end - pattern.start
        assert set(entry["files"]) == {f"{pattern.name}.{part}.{form}" for part in parts for form in FORMATS}
    for kind in ("cwm", "hcwm"):
        assert manifest["limits"][kind] == list(common_limits(kind, [p.shown(kind) for p in motifs.patterns]))


def test_logos_show_the_pattern_as_the_meme_file_has_it(drawn):
    motifs, manifest = read_motifs(drawn), json.loads((drawn / "logos/logos.json").read_text())
    pattern = motifs.patterns[0]
    figure = pattern_figure(information_content(pattern.shown("pfm")), ylabel="bits", limits=(0, 2))
    assert (drawn / f"logos/{pattern.name}.pfm.svg").read_text() == svg_text(figure)
    figure = pattern_figure(pattern.shown("cwm"), ylabel="contribution", limits=manifest["limits"]["cwm"])
    assert (drawn / f"logos/{pattern.name}.cwm.svg").read_text() == svg_text(figure)


def test_known_motifs_lie_where_they_fit(drawn):
    """Each base of the pattern's core is aligned with the same base of the known motif."""
    known, manifest = known_motifs(), json.loads((drawn / "logos/logos.json").read_text())
    names = {entry["match"]["match_id"] for entry in manifest["patterns"]}
    assert names == {"K1", "K2"}
    for entry, pattern in zip(manifest["patterns"], read_motifs(drawn).patterns, strict=True):
        index = known.ids.index(entry["match"]["match_id"])
        shown, motif, offset = pattern.shown("pfm"), known.matrices[index], entry["match"]["offset"]
        oriented, at = lay_known(shown, motif)
        assert at == offset and (oriented == motif).all()
        columns = [i for i in range(motif.shape[1]) if 0 <= i + offset < shown.shape[1] and motif[:, i].max() > 0.5]
        assert len(columns) >= 8
        assert all(motif[:, i].argmax() == shown[:, i + offset].argmax() for i in columns)


def test_the_known_motif_may_be_reverse_complemented():
    known = known_motifs()
    pattern = np.hstack([np.full((4, 3), 0.25), frequencies(FIRST)])
    for shown, offset, expected in (
        (pattern, 1, known.matrices[0]),
        (reverse_complement(pattern), 0, reverse_complement(known.matrices[0])),
    ):
        oriented, at = lay_known(shown, known.matrices[0])
        assert at == offset and (oriented == expected).all()


def test_a_dollar_sign_in_a_name_is_no_formula():
    matrix = frequencies(FIRST)
    matrices = {"cwm": matrix - 0.25, "hcwm": matrix - 0.25, "pfm": matrix}
    limits = {kind: common_limits(kind, [matrix]) for kind in KINDS}
    known = KnownMotif("$K$", r"a $\frac$ b", matrix, 0)
    lines = [{"motif": "pos_0", "name": known.name, "match_id": "$K$", "q": "0.001", "seqlets": 30}]
    shown = Shown(r"$\frac$", "", "t", "m", lines, [matrices], Path("patterns.tsv"), "known")
    nothing = Shown(r"$\frac$", r"nothing in $\frac$", "t", "m", [], [], Path("patterns.tsv"), "known")
    for figure in (
        match_figure(matrices, known, limits, COLOURS),
        overview_figure(shown, [known], limits, COLOURS),
        overview_figure(nothing, [], limits, COLOURS),
    ):
        assert svg_text(figure).count("<svg") == 1


def test_other_colours_draw_again_and_clear_what_is_old(drawn, tmp_path):
    shutil.copytree(drawn, tmp_path / "out")
    logos = tmp_path / "out/logos"
    (logos / "pos_77.cwm.reverse.svg").write_text("of an earlier run")
    (logos / "my_notes.txt").write_text("notes")
    command = ["logos", "--motifs", str(tmp_path / "out"), "--output-dir", str(logos), "--database"]
    meme = tmp_path / "known.meme"
    lines = ["MEME version 4", ""]
    known = known_motifs()
    for identifier, name, matrix in zip(known.ids, known.names, known.matrices, strict=True):
        lines += [f"MOTIF {identifier} {name}", f"letter-probability matrix: alength= 4 w= {matrix.shape[1]}"]
        lines += [" ".join(f"{share:.5f}" for share in column) for column in matrix.T]
    meme.write_text("\n".join(lines) + "\n")
    assert main([*command, str(meme), "--colours", "colour-blind"]) == 0
    before, after = ((folder / "pos_0.cwm.svg").read_text() for folder in (drawn / "logos", logos))
    assert all(colour in before and colour not in after for colour in COLOURS.values())
    assert all(colour in after for colour in COLOUR_BLIND.values())
    assert not (logos / "pos_77.cwm.reverse.svg").exists() and (logos / "my_notes.txt").exists()
    assert (drawn / "logos/pos_0.pfm.png").read_bytes() != (logos / "pos_0.pfm.png").read_bytes()


def test_what_cannot_be_drawn_is_refused_and_the_old_logos_stay(drawn, tmp_path, capsys):
    shutil.copytree(drawn, tmp_path / "out")
    before = sorted((tmp_path / "out/logos").iterdir())

    def refuse(message, *flags):
        assert main(["logos", "--motifs", str(tmp_path / "out"), "--output-dir", str(tmp_path / "out/logos"), *flags])
        assert message in capsys.readouterr().err and sorted((tmp_path / "out/logos").iterdir()) == before

    refuse("patterns.tsv: pos_0 is named after 'K", "--database", "jaspar:fungi")
    refuse("patterns were named by known: give that --database", "--database", "jaspar:fungi")
    (tmp_path / "out/motifs.json").unlink()
    refuse("motifs.json: no such file")


def test_a_folder_without_patterns_has_a_sheet_that_says_why(tmp_path):
    sequences, hypothetical, _ = planted(30, 60, motifs=(FIRST,))
    scores = write_scores(tmp_path / "scores.h5", place(30, 60), sequences, hypothetical)
    summary = find_motifs(scores, tmp_path / "out", database=known_motifs(), colours="colour-blind")
    assert summary.patterns == 0 and "too few regions" in summary.message
    manifest = json.loads((tmp_path / "out/logos/logos.json").read_text())
    assert manifest["patterns"] == [] and manifest["colours"] == "colour-blind"
    image = imread(tmp_path / "out/logos/overview.png")
    assert image.shape[1] == 800 and (image[60:, :, :3] < 0.5).any()  # words under the title
    with pytest.raises(SeqliftError, match="`colours`"):
        find_motifs(scores, tmp_path / "other", database=known_motifs(), colours="loud")
    assert not (tmp_path / "other").exists()


def test_unnamed_patterns_have_no_known_motif_beside_them(drawn, tmp_path):
    shutil.copytree(drawn, tmp_path / "out")
    path = tmp_path / "out/patterns.tsv"
    lines = [line.split("\t") for line in path.read_text().splitlines()]
    row = lines[1]
    row[2], row[3], row[7] = "", "", "+"
    path.write_text("\n".join("\t".join(line) for line in lines) + "\n")
    manifest = draw_logos(tmp_path / "out", tmp_path / "logos", database=known_motifs())
    assert manifest["patterns"][0]["match"] is None and manifest["patterns"][1]["match"] is not None
    assert not list((tmp_path / "logos").glob("pos_0.match.*")) and list((tmp_path / "logos").glob("pos_1.match.*"))
