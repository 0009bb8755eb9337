"""An architecture is one file: one outside the package, too, has a schema, a shortest window, a cost and trains."""

import sys

import pytest

from fixtures.stages import train
from fixtures.training import LENGTH, SETTINGS, make_data
from seqlift.config import resolve_config
from seqlift.config.settings import config_schema
from seqlift.data.genome import Genome
from seqlift.errors import SeqliftError
from seqlift.models import architectures
from seqlift.models.architecture import kinds, layers_of, resolve_architecture, shortest_window
from seqlift.models.checkpoint import load_model

SOURCE = '''
"""One convolution and the mean of its filters."""

from dataclasses import dataclass

from torch import nn

from seqlift.core.settings import setting
from seqlift.models.settings import Architecture, Kind, Layer


@dataclass(frozen=True, kw_only=True)
class MeanSettings(Architecture):
    """One convolution and the mean of its filters."""

    filters: int = setting(8, "Number of filters.", minimum=1)
    kernel: int = setting(9, "Width of the filters in bp.", minimum=1)

    def shortest_window(self):
        return self.kernel, "kernel"

    def layers_of(self, head, outputs):
        return [Layer(1.0, self.filters, 4 * self.kernel)]


class Mean(nn.Module):
    def __init__(self, *, length, n_targets, filters, kernel):
        super().__init__()
        self.scan, self.read = nn.Conv1d(4, filters, kernel), nn.Linear(filters, n_targets)

    def forward(self, sequences):
        return self.read(self.scan(sequences).relu().mean(2))


ARCHITECTURE = Kind(MeanSettings, Mean)
'''


@pytest.fixture
def mean_filters(tmp_path, monkeypatch):
    """The name of an architecture in a file outside the package."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "mean_filters.py").write_text(SOURCE)
    monkeypatch.setattr(architectures, "__path__", [*architectures.__path__, str(folder)])
    kinds.cache_clear()
    yield "mean_filters"
    kinds.cache_clear()
    sys.modules.pop(f"{architectures.__name__}.mean_filters", None)


def config_with(folder, **model):
    for name in ("genome.fa", "a.bed"):
        (folder / name).touch()
    return {
        "name": "run",
        "data_dir": str(folder),
        "genome": {"fasta": "genome.fa"},
        "targets": [{"name": "a", "peaks": "a.bed"}],
        "regions": {"valid": ["chr1"], "test": ["chr2"]},
        "model": model,
    }


def test_the_schema_has_its_settings(mean_filters, tmp_path):
    schema = config_schema()
    resolved = resolve_config(config_with(tmp_path, type=mean_filters, kernel=12), schema)["model"]
    assert (resolved["filters"], resolved["kernel"], resolved["head"]) == (8, 12, "classes")
    for wrong, key in (
        ({"filters": 0}, "model.filters"),
        ({"pools": [1]}, "model.pools"),
        ({"head": "profile"}, "model.head"),
        ({"kernel": 250}, r"model.kernel .*250"),  # longer than the windows
    ):
        with pytest.raises(SeqliftError, match=key):
            resolve_config(config_with(tmp_path, type=mean_filters, **wrong), schema)


def test_it_has_a_shortest_window_and_a_cost(mean_filters):
    architecture = resolve_architecture({"type": mean_filters, "kernel": 12})
    assert shortest_window(architecture) == (12, "kernel")
    assert layers_of(architecture, 1) == [(1.0, 8, 48)]


def test_it_is_trained(mean_filters, tmp_path):
    table = make_data(tmp_path)
    settings = SETTINGS | {"architecture": {"type": mean_filters}, "epochs": 2, "restarts": 0}
    with Genome(tmp_path / "genome.fa", cache_dir=tmp_path / "cache") as genome:
        training = train(table, genome, **settings, output_dir=tmp_path / "model")
    trained = load_model(tmp_path / "model" / "model.ckpt")
    assert trained.architecture["filters"] == 8 and trained.length == LENGTH
    assert training["parameters"] == 8 * (4 * 9 + 1) + 2 * (8 + 1)
