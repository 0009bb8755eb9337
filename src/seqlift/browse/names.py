"""Where things are, by their names: regions, peaks and genes."""

from bisect import bisect_left
from dataclasses import dataclass

import pandas as pd

from seqlift.browse.shown import Shown
from seqlift.data.intervals import read_peaks
from seqlift.regions.table import read_regions
from seqlift.report.read.genes import read_genes


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
        found: list[Place] = []
        for name, place in zip(self._names[first:], self._places[first:], strict=True):
            if not name.startswith(text) or len(found) == limit:
                break
            found.append(place)
        return found


def read_names(shown: Shown) -> Names:
    """Names of the peak files and of the genes, and of the regions but those that are background."""
    places = [place for target, path in shown.peaks for place in _places(read_peaks(path), f"{target} peak")]
    if shown.genes is not None:
        places += _places(read_genes(shown.genes, shown.genome.sizes), "gene")
    if shown.regions.is_file():
        table = read_regions(shown.regions)
        places += _places(table[table["kind"] != "background"], "region")
    return Names([place for place in places if place.chrom in shown.genome.sizes])


def _places(table: pd.DataFrame, kind: str) -> list[Place]:
    """The rows that have a name: columns name, chrom, start, end."""
    rows = zip(*(table[column].tolist() for column in ("name", "chrom", "start", "end")), strict=True)
    return [Place(name, chrom, start, end, kind) for name, chrom, start, end in rows if name not in ("", ".")]
