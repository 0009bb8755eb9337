"""Where things are, by their names: regions, peaks and genes."""

from bisect import bisect_left
from dataclasses import dataclass
from pathlib import Path

from seqlift.browse.shown import Shown
from seqlift.intervals import read_lines
from seqlift.region_table import read_regions
from seqlift.report.genes import read_genes


@dataclass(frozen=True)
class Place:
    """Something with a name: 0-based, end exclusive; `kind` says what it is."""

    name: str
    chrom: str
    start: int
    end: int
    kind: str

    def as_result(self) -> dict:
        """As igv.js reads the answer to a search: from 1, both ends included."""
        return {
            "name": self.name,
            "kind": self.kind,
            "chromosome": self.chrom,
            "start": self.start + 1,
            "end": self.end,
        }


class Names:
    """All names of a run, upper and lower case alike.

    Parameters
    ----------
    places : list of Place
        Of those with one name, the first ones are found first.
    """

    def __init__(self, places: list[Place]):
        self._places = sorted(places, key=lambda place: place.name.casefold())  # stable: the order given, within a name
        self._names = [place.name.casefold() for place in self._places]

    def search(self, text: str, limit: int = 20) -> list[Place]:
        """Places whose name begins with `text`, those that are called just so first."""
        text = text.strip().casefold()
        first = bisect_left(self._names, text) if text else len(self._names)
        found = []
        for name, place in zip(self._names[first:], self._places[first:], strict=True):
            if not name.startswith(text) or len(found) == limit:
                break
            found.append(place)
        return found


def read_names(shown: Shown) -> Names:
    """Names of the peak files and of the genes, and of the regions but those that are background."""
    places = [place for name, path in shown.peaks for place in _peaks(path, f"{name} peak")]
    if shown.genes is not None:
        genes = read_genes(shown.genes)
        rows = zip(*(genes[column].tolist() for column in ("name", "chrom", "start", "end")), strict=True)
        places += [Place(*row, "gene") for row in rows]
    if shown.regions.is_file():
        table = read_regions(shown.regions)
        table = table[table["kind"] != "background"]
        rows = zip(*(table[column].tolist() for column in ("name", "chrom", "start", "end")), strict=True)
        places += [Place(*row, "region") for row in rows]
    return Names([place for place in places if place.chrom in shown.genome.sizes])


def _peaks(path: Path, kind: str):
    for _, line in read_lines(path):
        fields = line.split("\t")
        if len(fields) > 3 and fields[3] not in ("", ".") and fields[1].isdigit() and fields[2].isdigit():
            yield Place(fields[3], fields[0], int(fields[1]), int(fields[2]), kind)
