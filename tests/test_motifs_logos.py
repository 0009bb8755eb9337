"""Logos show the heights they are given, as logomaker would, in small files that come out the same each time."""

import logomaker
import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from seqlift.motifs.logos import (
    COLOURS,
    FONT,
    draw_logo,
    information_content,
    informative_range,
    pattern_figure,
    save_figure,
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
