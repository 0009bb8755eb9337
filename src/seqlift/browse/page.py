"""The page that shows a run, and its configuration for igv.js.

igv.js is a program of its own (MIT licence, https://github.com/igvteam/igv.js), which npm installs. Without it the page
lists the tracks and says how to get it.
"""

import html
import json
import os
import sys
from importlib.resources import files
from pathlib import Path

from seqlift.browse.shown import Shown
from seqlift.errors import SeqliftError
from seqlift.tracks.appearance import BLACK, METHOD_NAMES, PURPLE, Appearance, first_locus, target_of
from seqlift.tracks.session import feature_format

INSTALL = f"npm install --prefix {Path(sys.prefix) / 'share' / 'seqlift'} igv@3.8"
_HEIGHT = 70  # pixels of a track


def find_igv() -> Path | None:
    """igv.min.js: the file named by `SEQLIFT_IGV`, or where npm puts it for this environment; None where there is none.

    Raises
    ------
    SeqliftError
        If `SEQLIFT_IGV` names no file.
    """
    named = os.environ.get("SEQLIFT_IGV")
    if named:
        if not Path(named).is_file():
            raise SeqliftError(f"SEQLIFT_IGV (={named!r}) must be the path of igv.min.js; there is no such file")
        return Path(named)
    usual = Path(sys.prefix) / "share" / "seqlift" / "node_modules" / "igv" / "dist" / "igv.min.js"
    return usual if usual.is_file() else None


def static(name: str) -> bytes:
    """A file of the page."""
    return (files("seqlift.browse") / name).read_bytes()


def page(shown: Shown, has_igv: bool) -> bytes:
    """The page in HTML. All names that users gave are escaped."""
    rows = "".join(
        f"<tr><td>{html.escape(each.name)}</td><td><code>{html.escape(_place(each.path, shown))}</code></td></tr>"
        for each in shown.tracks
    )
    return (
        static("page.html")
        .decode()
        .replace("{{scripts}}", _SCRIPTS if has_igv else "")
        .replace("{{missing}}", "" if has_igv else _MISSING.format(command=html.escape(INSTALL)))
        .replace("{{title}}", html.escape(shown.title))
        .replace("{{tracks}}", rows)
        .encode()
    )


_SCRIPTS = '<script src="igv.min.js" defer></script>\n<script src="page.js" defer></script>'
_MISSING = """<section id="missing"><h2>igv.js is not installed</h2>
<p>It draws the tracks in this page. Install it once, then start <code>seqlift browse</code> again:</p>
<pre>{command}</pre>
<p>Or open <code>tracks/igv_session.xml</code> of this run in IGV Desktop.</p></section>"""


def configuration(shown: Shown) -> bytes:
    """The argument of `igv.createBrowser`: the genome, the tracks and their looks, and where names are looked up.

    What belongs to one target is listed together: its tracks, hits and peaks.
    """
    found = [(target_of(each.output), _bigwig(number, each)) for number, each in enumerate(shown.tracks)]
    for number, (output, method, _) in enumerate(shown.hits):
        name = f"{output} hits, {METHOD_NAMES.get(method, method)}"
        found.append((target_of(output), _features(f"hits/{number}.bed", "bed", name, PURPLE)))
    for number, (target, path) in enumerate(shown.peaks):
        found.append((target, _features(f"peaks/{number}", feature_format(path), f"{target} peaks", BLACK)))
    order = list(dict.fromkeys(target for target, _ in found))
    tracks = [track for _, track in sorted(found, key=lambda pair: order.index(pair[0]))]  # stable
    if shown.genes is not None:
        tracks.insert(0, _features("genes", feature_format(shown.genes), "genes", BLACK))
    locus = first_locus(shown.tracks[0].path)
    settings = {
        "reference": {"id": shown.title, "fastaURL": "genome.fa", "indexURL": "genome.fa.fai"},
        "loadDefaultGenomes": False,  # nothing is loaded from outside
        "search": {"url": "search?q=$FEATURE$", "type": "json"},
        "tracks": tracks,
    }
    return json.dumps(settings | ({"locus": locus} if locus else {})).encode()


def _bigwig(number: int, shown: Appearance) -> dict:
    return {
        "type": "wig",
        "format": "bigwig",
        "url": f"tracks/{number}.bw",
        "name": shown.name,
        "color": _colour(shown.colour),
        "altColor": _colour(shown.colour),
        "height": _HEIGHT,
        "autoscaleGroup": shown.group,
        "windowFunction": "mean",
        **({"graphType": "dynseq"} if shown.letters else {}),
    }


def _features(url: str, kind: str, name: str, colour: tuple[int, int, int]) -> dict:
    looks = {"displayMode": "EXPANDED", "color": _colour(colour), "height": 50}
    return {"type": "annotation", "format": kind, "url": url, "name": name, "indexed": False, **looks}


def _place(path: Path, shown: Shown) -> str:
    return path.relative_to(shown.folder).as_posix()


def _colour(colour: tuple[int, int, int]) -> str:
    return f"rgb({','.join(map(str, colour))})"
