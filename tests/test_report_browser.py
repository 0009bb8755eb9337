"""The report in a real browser: does it fit a phone, does its script run, does it ask for anything from outside?"""

import itertools
import os
import re

import pytest

from fixtures.chromium import launch
from fixtures.findings import add_findings
from fixtures.report import METHODS, build_run
from seqlift.report import write_report

LONG = "a_target_with_a_name_that_no_phone_can_hold_in_one_line_of_text"
MEASURE = """() => {
  const root = document.documentElement;
  const seen = (e) => e.getClientRects().length > 0;
  const inBox = (e) => e.closest(".scroll, .skip, nav, #found, svg");
  const all = (selector) => [...document.querySelectorAll(selector)].filter(seen);
  return {
    inner: innerWidth,
    content: root.scrollWidth,
    wide: all("main *").filter((e) => !inBox(e) && e.getBoundingClientRect().right > root.clientWidth + 0.5)
      .map((e) => e.outerHTML.slice(0, 90)),
    images: all("img").length,
    broken: [...document.images].filter((i) => !i.complete || !i.naturalWidth).length,
    outside: [...document.querySelectorAll("[src]")].filter((e) => !e.getAttribute("src").startsWith("data:")).length,
    scrolling: all(".scroll").filter((e) => e.scrollWidth > e.clientWidth || e.scrollHeight > e.clientHeight).length,
    stops: all(".scroll[tabindex]").length,
    smallest: Math.min(...all("nav a, button, summary, select, input[type=search]").map(
      (e) => e.getBoundingClientRect().height)),
  };
}"""


@pytest.fixture(scope="module")
def browser():
    with launch() as browser:
        yield browser


@pytest.fixture
def visit(browser):
    """Opens a page at a width; a message of the console, an error or a request to elsewhere fails the test."""
    pages, wrong = [], []

    def start(path, width, address=""):
        page = browser.new_page(viewport={"width": width, "height": 900})
        page.on("console", lambda message: wrong.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda request: wrong.append(request.url) if not local(request.url) else None)
        page.goto(path.as_uri() + address)
        pages.append(page)
        return page

    yield start
    for page in pages:
        page.close()
    assert wrong == []


def local(url):
    return url.startswith(("file:", "data:", "blob:"))


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """All stages were run; long names are what breaks narrow pages, odd ones what breaks scripts."""
    truth = {
        "targets": {"GATA1": {"auroc_best": 0.97, "auroc_model": 0.97, "difference": 0.0}},
        "contributions": {"GATA1.deeplift": {"auroc": 0.86, "auprc": 0.7, "regions": 9, "bases": 1800, "inside": 90}},
    }
    folder = tmp_path_factory.mktemp("run")
    run, config = build_run(
        folder,
        name="a" * 60,
        targets=("GATA1", LONG),
        truth=truth,
        learned=False,
        length=300,
        region_name="odd/</x>%&'",
    )
    add_findings(run, ["GATA1", LONG], METHODS)
    genes = config.parent / "genes.bed"
    genes.write_text("chr3\t90000\t96000\tMYGENE\t0\t+\n")
    config.write_text(config.read_text().replace("examples: 1", "examples: 1\n  genes: genes.bed"))
    return write_report(run, config, run / "report.html")


@pytest.fixture(scope="module")
def profile_report(tmp_path_factory):
    """Profiles of folds, which have other tables and figures; no compendium, hits or genes."""
    run, config = build_run(
        tmp_path_factory.mktemp("run"),
        targets=("ATAC", LONG),
        head="profile",
        strands=2,
        folds=3,
        methods=("deeplift",),
    )
    return write_report(run, config, run / "report.html")


def check(page, width):
    found = page.evaluate(MEASURE)
    assert found["wide"] == [] and found["inner"] == width and found["content"] <= width
    assert found["broken"] == 0 and found["outside"] == 0
    assert found["stops"] == found["scrolling"]  # boxes that scroll, and only those, can be reached by the Tab key
    assert found["smallest"] >= 24  # pixels, the least for a finger (WCAG 2.2, 2.5.8)
    return found


@pytest.mark.parametrize("width", [400, 768, 1280])
def test_page_fits(report, visit, width):
    page = visit(report, width)
    found = check(page, width)
    assert found["images"] > 20 and (found["scrolling"] > 5 or width > 400)
    page.evaluate("location.hash = '#motif/m_0'")
    page.wait_for_selector("[id='motif/m_0'] .strip .letter")
    check(page, width)


@pytest.mark.parametrize("width", [400, 1280])
def test_page_of_profiles_fits(profile_report, visit, width):
    page = visit(profile_report, width)
    assert check(page, width)["images"] > 20
    page.click("#region-table tbody a >> nth=0")
    page.wait_for_selector("#region-plot .predicted")
    signals, bars = page.locator("#region-plot .predicted"), page.locator("#region-plot .predicted .bars")
    assert signals.count() >= 1 and bars.count() == 2 * signals.count()  # both strands
    assert "predicted signal, minus strand below the line" in page.inner_text("#region-plot")
    tracks = page.locator("#region-plot .tracks")
    tracks.hover(position={"x": tracks.bounding_box()["width"] / 2, "y": 60})  # scrolls there, waits until it is still
    page.get_by_text(re.compile(r"predicted signal \+\d+\.\d\d −\d+\.\d\d")).wait_for()
    page.click("[data-do=letters]")
    assert page.locator("#region-plot .letter").count() > 20 and bars.count() == 2 * signals.count()
    check(page, width)


def test_tables_sort(report, visit):
    """p is smallest first; names that are missing come last."""
    page = visit(report, 1280)
    table = page.locator("#patterns table.patterns").first

    def press(name):
        table.get_by_role("button", name=re.compile(rf"^{name}\W*$")).click()
        shown = table.locator("tbody th a").all_text_contents()
        return [table.locator("[aria-sort]").get_attribute("aria-sort"), *shown]

    assert table.locator("tbody th a").all_text_contents() == ["pos_0", "pos_1", "neg_0"]
    assert press("mean contribution") == ["descending", "pos_0", "pos_1", "neg_0"]
    assert press("mean contribution") == ["ascending", "neg_0", "pos_1", "pos_0"]
    assert press("p") == ["ascending", "pos_0", "pos_1", "neg_0"]
    assert press("closest motif")[:2] == ["ascending", "pos_0"]
    assert table.locator("[aria-sort]").count() == 1


def test_motifs_filter(report, visit):
    page = visit(report, 1280)
    rows = page.locator("#motif-table tbody tr:visible")
    assert rows.count() == 3
    page.fill("#motifs [data-filter=text]", "gata")
    assert rows.count() == 1 and page.inner_text("#motifs .shown") == "1 of 3 motifs"
    page.fill("#motifs [data-filter=text]", "")
    page.select_option("#motifs [data-filter=sign]", "negative")
    assert rows.locator("th a").all_text_contents() == ["unnamed"]
    page.check("#motifs [data-filter=named]")
    assert rows.count() == 0


def test_a_motif_opens_and_the_back_button_leads_back(report, visit):
    page = visit(report, 1280)
    page.click("#motif-table tbody a >> nth=1")
    page.wait_for_selector("[id='motif/m_1']:visible")
    assert not page.is_visible("#overview") and "m_1" in page.title()
    assert "Where in the regions" in page.inner_text("[id='motif/m_1']")
    page.go_back()
    page.wait_for_selector("#overview:visible")
    assert not page.is_visible("[id='motif/m_1']")
    page.go_forward()
    page.wait_for_selector("[id='motif/m_1']:visible")


def test_names_of_curves_stand_apart(report, visit):
    page = visit(report, 1280)
    page.click("#region-table tbody a >> nth=0")
    written = page.locator("#region-path text")
    for _ in range(20):  # to a region of both targets
        page.wait_for_selector("#region-plot .bars")
        if written.count() > 6:
            break
        title = page.inner_text("#region-title")
        page.click("#region-next")
        page.locator("#region-title", has_not_text=re.compile(f"^{re.escape(title)}$")).wait_for()
    assert written.count() == 8  # two names beside the numbers and the title of the axis
    boxes = [written.nth(i).bounding_box() for i in range(8)]
    assert all(name["y"] > boxes[5]["y"] for name in boxes[6:])  # below the title of the axis, where no curve runs
    for one, other in itertools.combinations(boxes, 2):
        below = abs(one["y"] - other["y"]) > 0.8 * max(one["height"], other["height"])
        beside = one["x"] + one["width"] <= other["x"] or other["x"] + other["width"] <= one["x"]
        assert below or beside, (one, other)


@pytest.mark.parametrize("width", [400, 1280])
def test_a_region_zooms_to_letters(report, visit, width):
    page = visit(report, width)
    page.click("#region-table tbody a >> nth=0")
    page.wait_for_selector("#region-plot .bars")
    letters, status = page.locator("#region-plot .letter"), page.locator("#region-status")
    assert letters.count() == 0 and "300 bp" in status.inner_text()
    assert page.inner_text("#region-title").startswith("odd/</x>%&'")
    shown = page.inner_text("#region-plot")
    assert "DeepLIFT" in shown and "Interior gradients" in shown
    page.click("[data-do=letters]")
    bases = page.evaluate("Math.round(view.to - view.from)")
    assert letters.count() > bases and page.locator("#region-plot .error").count() >= 2  # of both methods
    page.click("[data-do=whole]")
    assert letters.count() == 0
    page.focus("#region-plot")
    for _ in range(8):
        page.keyboard.press("+")
    assert letters.count() > 0
    before = page.evaluate("view.from")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("view.from") > before
    page.keyboard.press("0")
    assert page.evaluate("view.to - view.from") == 300
    box = page.locator("#region-plot .tracks").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 60)
    page.mouse.wheel(0, -300)
    wait_for(page, "view.to - view.from < 299")
    page.mouse.move(box["x"] + box["width"] / 2 + 20, box["y"] + 60)
    assert re.search(r"chr\d:[\d,]+ [ACGT]: .*DeepLIFT", status.inner_text())
    check(page, width)


def test_what_is_drawn_is_what_the_score_file_holds(report, visit):
    from seqlift.scores.file import open_scores

    with open_scores(report.parent / "scores" / "GATA1.deeplift.h5") as scores:
        name, values = scores.coords["name"][0], scores.contributions[0].sum(axis=0)
    page = visit(report, 1280)
    drawn = page.evaluate(
        "async (name) => { const region = await openRegion(INDEX.names.indexOf(name));"
        " const track = region.tracks.find((each) => each.output === 0 && each.method === 'deeplift');"
        " return [...track.values]; }",
        name,
    )
    assert len(drawn) == 300 and max(abs(a - b) for a, b in zip(drawn, values, strict=True)) < abs(values).max() / 250


def wait_for(page, condition):
    """As `page.wait_for_function`, which the page's policy forbids: it would evaluate text inside the page."""
    for _ in range(100):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"{condition}: not within 5 s")


def test_search_finds_regions_genes_motifs_and_places(report, visit):
    page = visit(report, 1280)
    options = page.locator("#found [role=option]")
    page.fill("#search", "gata1")
    assert "motif" in options.first.inner_text()
    page.fill("#search", "mygene")
    assert "gene" in options.first.inner_text()
    page.keyboard.press("Enter")
    page.wait_for_selector("#region-plot .bars")
    assert "MYGENE" in page.inner_text("#region-facts")
    place = page.evaluate("`${view.region.chrom}:${view.region.start + 100}`")
    page.fill("#search", place)
    assert "region at" in options.first.inner_text()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    wait_for(page, "view.to - view.from < 60")
    page.fill("#search", "nothing of the kind")
    assert options.count() == 0 and "Nothing" in page.inner_text("#found")


def test_regions_are_listed_by_prediction_motif_and_place(report, visit):
    page = visit(report, 1280)
    predictions = [float(text.replace("−", "-")) for text in page.locator("#region-table td.n").all_text_contents()]
    assert predictions == sorted(predictions, reverse=True) and len(predictions) == 12
    page.click("#region-table [data-by=prediction]")
    assert float(page.locator("#region-table td.n").first.inner_text().replace("−", "-")) < predictions[-1]
    page.fill("#region-filter", "chr3:95,000-110,000")
    places = page.locator("#region-table tbody td:nth-child(2)").all_text_contents()
    assert places and all(re.match(r"chr3:(9[4-9]|10\d),", place) for place in places)
    page.fill("#region-filter", "")
    page.select_option("#region-motif", "0")
    assert all("GATA1" in text for text in page.locator("#region-table tbody td:nth-child(5)").all_text_contents())


def test_pictures_for_a_look(report, visit):
    """Only where SEQLIFT_PICTURES names a folder: pictures of every state, to be looked at."""
    folder = os.environ.get("SEQLIFT_PICTURES")
    if not folder:
        pytest.skip("SEQLIFT_PICTURES names no folder")
    for width in (400, 1280):
        page = visit(report, width)
        page.screenshot(path=f"{folder}/page_{width}.png", full_page=True)
        page.evaluate("location.hash = '#motif/m_0'")
        page.wait_for_selector("[id='motif/m_0'] .strip .letter")
        page.screenshot(path=f"{folder}/motif_{width}.png", full_page=True)
        page.click("[id='motif/m_0'] .strip a >> nth=0")
        page.wait_for_selector("#region-plot .tracks")
        page.screenshot(path=f"{folder}/region_{width}.png", full_page=True)
