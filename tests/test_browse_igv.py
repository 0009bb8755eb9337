"""The genome view in a real browser, by igv.js: tracks, letters, names; nothing asked for from outside."""

import io
import threading

import matplotlib.image
import numpy as np
import pytest

from fixtures.browse import EVIL, build_run
from fixtures.chromium import launch
from seqlift.browse.page import find_igv
from seqlift.browse.server import open_server
from seqlift.browse.shown import read_shown

pytestmark = pytest.mark.skipif(find_igv() is None, reason="igv.js is not installed (make browser)")
LETTERS = [(0, 200, 0), (0, 0, 200), (209, 113, 5), (255, 0, 0)]  # A C G T in igv.js
BARS = [(0, 114, 178)]  # of DeepLIFT


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    results = build_run(tmp_path_factory.mktemp("run"))
    server, address = open_server(read_shown(results))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield address
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def chromium():
    with launch() as browser:
        yield browser


def opened(chromium, address, width):
    """The page at a width, and what it complained of or asked for from elsewhere."""
    page, troubles = chromium.new_page(viewport={"width": width, "height": 900}), []
    page.on("console", lambda said: troubles.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: troubles.append(str(error)))
    inside = (address, "data:", "blob:")
    page.on("request", lambda asked: None if asked.url.startswith(inside) else troubles.append(asked.url))
    page.goto(address)
    page.wait_for_selector("#browser[data-state=ready]", timeout=30_000)
    page.wait_for_load_state("networkidle")
    return page, troubles


def pixels(page, colours):
    """How many pixels of the tracks (below the sequence) have about one of these colours."""
    picture = matplotlib.image.imread(io.BytesIO(page.screenshot()), format="png")[..., :3] * 255
    top = int(page.locator(".igv-track-label").first.bounding_box()["y"])
    return int(sum((np.abs(picture[top:] - colour).max(axis=2) < 12).sum() for colour in colours))


def go(page, text):
    page.fill("#query", text)
    page.press("#query", "Enter")
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(500)  # igv.js draws a little later than it reads
    return page.inner_text("#message")


@pytest.mark.parametrize("width", [1280, 400])
def test_letters_near_by_and_bars_from_afar(chromium, address, width):
    page, troubles = opened(chromium, address, width)
    labels = page.locator(".igv-track-label").all_inner_texts()
    assert labels == ["T DeepLIFT", "T interior gradients", "T hits, DeepLIFT", "T peaks"]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert go(page, "peak_7") == "Peak_7 (T peak)"  # 60 bp
    near = pixels(page, LETTERS), pixels(page, BARS)
    assert go(page, "chr1:1-6000") == "chr1:1-6000"
    afar = pixels(page, LETTERS), pixels(page, BARS)
    assert near[0] > 500 and near[1] < 20
    assert afar[0] < 20 and afar[1] > 1000
    assert troubles == []
    page.close()


def test_names_are_text_wherever_they_appear(chromium, address):
    page, troubles = opened(chromium, address, 1280)
    assert go(page, EVIL) == f"{EVIL} (T peak)"
    assert page.input_value(".igv-search-input") == "chr1:501-560"
    page.fill("#query", "peak_1")
    page.wait_for_selector("#names option", state="attached")
    names = page.locator("#names option").evaluate_all("found => found.map(each => each.value)")
    assert names[0] == "Peak_1" and len(names) == 11  # and Peak_10 to Peak_19
    assert go(page, "peak_29 ") == "Peak_29 (T peak)" and go(page, "chr2") == "chr2"
    assert go(page, "nobody here") == "Nothing here is called nobody here"
    # Its popup, too, shows what the peak is called
    go(page, "chr1:501-560")
    box = page.locator(".igv-viewport").last.bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + 15)
    page.wait_for_timeout(500)
    assert page.title() == "x, 60 bp · seqlift"
    assert [each for each in troubles if "Content Security Policy" not in each] == []
    page.close()
