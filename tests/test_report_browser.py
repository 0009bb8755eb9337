"""The report in a real browser: does it fit a phone, does its script run, does it ask for anything from outside?

The page stands in a frame of the width to test (a window of Chromium cannot be narrower than 500 pixels), and a script
around it measures what came out.
"""

import html
import json
import re
import shutil
import subprocess

import pytest

from report_fixture import build_run
from seqlift.report import write_report

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--window-size=1400,1200"),
    *("--virtual-time-budget=8000", "--dump-dom"),
]
HARNESS = """<!DOCTYPE html><meta charset="utf-8">
<iframe id="frame" style="border:0;width:%(width)dpx;height:1000px" srcdoc="%(page)s"></iframe>
<pre id="out"></pre>
<script>
const frame = document.getElementById("frame");
frame.addEventListener("load", () => setTimeout(() => {
  const page = frame.contentDocument, root = page.documentElement;
  const out = {inner: frame.contentWindow.innerWidth, content: root.scrollWidth};
  const inBox = (e) => e.closest(".scroll, .skip, nav");
  out.wide = [...page.querySelectorAll("main *")].filter((e) => !inBox(e) &&
    e.getBoundingClientRect().right > root.clientWidth + 0.5).map((e) => e.outerHTML.slice(0, 80));
  out.images = page.images.length;
  out.broken = [...page.images].filter((i) => !i.complete || !i.naturalWidth).length;
  out.outside = [...page.querySelectorAll("[src]")].filter((e) => !e.getAttribute("src").startsWith("data:")).length;
  out.scrolling = [...page.querySelectorAll(".scroll")].filter((e) => e.scrollWidth > e.clientWidth).length;
  out.stops = [...page.querySelectorAll(".scroll[tabindex]")].length;
  out.smallest = Math.min(...[...page.querySelectorAll("nav a, button.sort, summary")].map(
    (e) => e.getBoundingClientRect().height));
  const table = page.querySelector("table.patterns");
  const rows = () => [...table.tBodies[0].rows].map((row) => row.cells[0].firstChild.textContent);
  const press = (name) => {
    const button = [...table.querySelectorAll("button.sort")].find((b) => b.textContent.trim() === name);
    button.click();
    return [button.closest("th").getAttribute("aria-sort"), ...rows()];
  };
  out.before = rows();
  out.mean = press("mean contribution");
  out.mean_again = press("mean contribution");
  out.p = press("p");
  out.name = press("closest motif");
  out.sorted_headings = table.querySelectorAll("[aria-sort]").length;
  document.getElementById("out").textContent = JSON.stringify(out);
}, 500));
</script>"""

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    truth = {
        "targets": {"GATA1": {"auroc_best": 0.97, "auroc_model": 0.97, "difference": 0.0}},
        "contributions": {"GATA1.deeplift": {"auroc": 0.86, "auprc": 0.7, "regions": 9, "bases": 1800, "inside": 90}},
    }
    # Long names are what breaks narrow pages.
    targets = ("GATA1", "a_target_with_a_name_that_no_phone_can_hold_in_one_line_of_text")
    run, config = build_run(
        tmp_path_factory.mktemp("run"), name="a" * 60, targets=targets, truth=truth, learned=False, length=300
    )
    return write_report(run, config, run / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def profile_report(tmp_path_factory):
    """Profiles of folds, which have other tables and figures."""
    targets = ("ATAC", "a_target_with_a_name_that_no_phone_can_hold_in_one_line_of_text")
    run, config = build_run(
        tmp_path_factory.mktemp("run"), targets=targets, head="profile", strands=2, folds=3, methods=("deeplift",)
    )
    return write_report(run, config, run / "report.html").read_text(encoding="utf-8")


def look(page, width, folder):
    """Load the page in a frame of `width` pixels and give what the script measured."""
    harness = folder / "harness.html"
    harness.write_text(HARNESS % {"width": width, "page": html.escape(page)}, encoding="utf-8")
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={folder / 'profile'}", harness.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=True)
    found = re.search(r'<pre id="out">(.*?)</pre>', done.stdout, re.S)
    assert found and found.group(1), done.stderr[-2000:]
    return json.loads(html.unescape(found.group(1)))


@pytest.mark.parametrize("width", [400, 768, 1280])
def test_page_fits_and_works(report, width, tmp_path):
    found = look(report, width, tmp_path)
    assert found["inner"] == width and found["content"] <= width, found["wide"]
    assert found["wide"] == []
    assert found["images"] > 20 and found["broken"] == 0 and found["outside"] == 0
    assert found["stops"] == found["scrolling"]  # boxes that scroll, and only those, can be reached by the Tab key
    assert (found["scrolling"] > 5) if width == 400 else (found["scrolling"] < 40)
    assert found["smallest"] >= 24  # pixels, the least for a finger (WCAG 2.2, 2.5.8)
    # p is smallest first; names that are missing come last
    assert found["before"] == ["pos_0", "pos_1", "neg_0"]
    assert found["mean"] == ["descending", "pos_0", "pos_1", "neg_0"]
    assert found["mean_again"] == ["ascending", "neg_0", "pos_1", "pos_0"]
    assert found["p"] == ["ascending", "pos_0", "pos_1", "neg_0"]
    assert found["name"][:2] == ["ascending", "pos_0"]
    assert found["sorted_headings"] == 1


@pytest.mark.parametrize("width", [400, 768, 1280])
def test_page_of_profiles_fits(profile_report, width, tmp_path):
    found = look(profile_report, width, tmp_path)
    assert found["inner"] == width and found["content"] <= width, found["wide"]
    assert found["wide"] == []
    assert found["images"] > 20 and found["broken"] == 0 and found["outside"] == 0
    assert found["stops"] == found["scrolling"] and found["smallest"] >= 24
