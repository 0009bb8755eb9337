"""The cost model: its arithmetic, that it keeps measured and assumed apart, and that its page shows what it prints."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from torch import nn

ROOT = Path(__file__).resolve().parents[1]
RATES = json.loads((ROOT / "benchmarks" / "results" / "scaling_rates.json").read_text())


@pytest.fixture(autouse=True)
def benchmarks(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")


@pytest.fixture
def reckon():
    """Makes the model of a case, with other rates of the attribution's start and of what the host does."""
    import scaling

    def make(start: float = 0, host: float = 0, **case) -> scaling.Model:
        changed = {"attribution": RATES["cpu"]["attribution"] | {"start_seconds": start}}
        changed |= dict.fromkeys(("reference_seconds_per_base", "score_seconds_per_base"), host)
        return scaling.Model(scaling.Case(**case), RATES | {"cpu": RATES["cpu"] | changed}, "512 filters")

    return make


def test_defaults_are_those_of_the_config():
    import scaling

    schema = yaml.safe_load((ROOT / "workflow" / "schemas" / "config.schema.yaml").read_text())
    attribution = schema["properties"]["attribution"]["properties"]
    assert attribution["shard_size"]["default"] == scaling.SHARD_SIZE
    assert attribution["interior_gradients"]["properties"]["steps"]["default"] == scaling.PATH_STEPS


def measured_on_a_card() -> dict:
    """Rates as if a card of exactly 50 TFLOP/s had been measured."""
    kinds = RATES["cpu"]["networks"]["512 filters"]["operations_per_second"]
    each = {"operations_per_second": dict.fromkeys(kinds, 50e12)}
    names = RATES["cpu"]["networks"]
    return {
        "cpu": RATES["cpu"],
        "cuda": {"machine": "A card; a processor", "versions": "v", "networks": dict.fromkeys(names, each)},
    }


def test_the_document_shows_what_the_script_prints():
    import scaling

    printed = scaling.page(scaling.Case(), RATES, [1, 8, 64])
    text = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")
    begin, end = (f"<!-- {word} of what benchmarks/scaling.py prints -->\n" for word in ("begin", "end"))
    shown = text.split(begin)[1].split(end)[0]
    assert shown.strip() == printed.strip(), "put the output of benchmarks/scaling.py between the marks of the page"


def test_the_script_takes_other_cases_and_refuses_what_cannot_be():
    command = [sys.executable, ROOT / "benchmarks" / "scaling.py"]
    done = subprocess.run([*command, "--regions", "5000", "--gpus", "3"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("5,000 regions of 2,114 bp, 20 references, 5 folds")
    assert "| 3 A100, assumed rate | 1,667 | 6 |" in done.stdout
    done = subprocess.run([*command, "--folds", "0"], capture_output=True, text=True)
    assert done.returncode == 2 and "--folds (=0) must be at least 1" in done.stderr


@pytest.mark.parametrize("gpus", [1, 2, 4, 32])
def test_twice_as_many_gpus_halve_the_time_of_attribution(reckon, gpus):
    model, speed = reckon(regions=320_000, host=1e-7), {"deeplift": 1e13}
    assert model.attribution_time(speed, 2 * gpus) == pytest.approx(model.attribution_time(speed, gpus) / 2)
    # The start of each job is not shared
    slow = reckon(regions=320_000, start=60)
    starts = [slow.attribution_time(speed, g) - reckon(regions=320_000).attribution_time(speed, g) for g in (1, gpus)]
    assert starts[1] == pytest.approx(60 * 2 * slow.case.shards(gpus) / gpus)
    assert starts[0] == pytest.approx(60 * 2 * 16)


def test_attribution_is_regions_times_outputs_times_folds_times_references(reckon):
    speed = {"deeplift": 1e12}
    work = RATES["cpu"]["networks"]["512 filters"]["operations"]
    expected = 1000 * 2 * 3 * (10 * work["pair"] + work["sequence"]) / 1e12
    assert reckon(regions=1000, folds=3, references=10).seconds("deeplift", speed) == pytest.approx(expected)
    assert reckon(regions=1000, folds=3, references=10, length=4228).seconds("deeplift", speed) == pytest.approx(
        2 * expected
    )
    waiting = reckon(regions=1000, folds=3, references=10, host=1e-6).seconds("deeplift", speed) - expected
    assert waiting == pytest.approx(1000 * 2 * 2114 * 11 * 1e-6)  # ten references drawn, one row written


def test_training_waits_for_the_last_fold(reckon):
    model, speed = reckon(folds=5), {"training": 1e13}
    whole = model.seconds("training", speed)
    times = [model.training_time(speed, gpus) / whole for gpus in (1, 2, 4, 5, 64)]
    assert times == pytest.approx([1, 3 / 5, 2 / 5, 1 / 5, 1 / 5])
    step = RATES["cpu"]["networks"]["512 filters"]["operations"]
    share = 0.6 * step["training"] + 0.2 * step["prediction"]
    assert whole == pytest.approx(600_000 * 15 * 5 * share / 1e13)


def test_disk_grows_with_regions_and_length(reckon):
    few = reckon(regions=1000, length=500)
    assert few.score_bytes() == pytest.approx(500_000 * RATES["cpu"]["score_bytes_per_base"])
    for one in (reckon(regions=3000, length=500), reckon(regions=1000, length=1500)):
        assert one.score_bytes() == pytest.approx(3 * few.score_bytes())
        assert one.track_bytes() == pytest.approx(3 * few.track_bytes())
        assert one.gather() == pytest.approx(3 * few.gather())


@pytest.mark.parametrize("gpus", [1, 3, 8, 64, 100])
def test_all_gpus_have_as_many_jobs_and_no_shard_is_too_large(gpus):
    import scaling

    for case in (scaling.Case(), scaling.Case(outputs=1), scaling.Case(regions=20_001, outputs=3)):
        shards = case.shards(gpus)
        assert case.outputs * shards % gpus == 0 and case.regions / shards <= scaling.SHARD_SIZE
        assert replace(case, shard_size=5000).shards(gpus) == -(-case.regions // 5000)
    assert scaling.Case(regions=5, outputs=1).shards(gpus) <= 5


def test_what_was_measured_takes_the_place_of_what_is_assumed():
    import scaling

    case = scaling.Case()
    assumed = scaling.page(case, RATES, [1])
    assert "none has been measured" in assumed and assumed.count("**assumed**") == 5  # two cards, two networks; beside
    measured = scaling.page(case, measured_on_a_card(), [1])
    assert "assumed" not in measured and "A100, assumed" not in measured and "| A100 |" not in measured
    assert "GPU rates: measured on A card; a processor." in measured
    hours = scaling.Model(case, RATES, "512 filters").gpu_seconds(dict.fromkeys(scaling_kinds(), 50e12))
    assert "| 512 filters | A card | measured | 50 |" in measured and scaling.span(hours) in measured


def scaling_kinds() -> list[str]:
    return list(RATES["cpu"]["networks"]["512 filters"]["operations_per_second"])


def test_chrombpnet_is_counted_as_its_network_computes():
    from scaling import chrombpnet_operations
    from scaling_rates import operations

    class Network(nn.Module):
        def __init__(self, filters: int):
            super().__init__()
            self.first = nn.Conv1d(4, filters, 21)
            self.layers = nn.ModuleList(nn.Conv1d(filters, filters, 3, dilation=2**i) for i in range(1, 9))
            self.profile = nn.Conv1d(filters, 1, 75)

        def forward(self, x):
            h = self.first(x)
            for layer in self.layers:
                found = layer(h)
                cut = (h.shape[2] - found.shape[2]) // 2
                h = h[:, :, cut:-cut] + found
            return self.profile(h)

    with torch.no_grad():
        forward = operations(lambda: Network(8)(torch.zeros(1, 4, 2114)))
    assert chrombpnet_operations(references=3, filters=8) == 2 * 2 * 3 * forward  # 2 R rows, forward and back


def test_operations_are_counted_as_by_hand_and_rates_are_operations_over_seconds(monkeypatch):
    import scaling_rates

    monkeypatch.setattr(scaling_rates, "LENGTH", 300)
    monkeypatch.setattr(scaling_rates, "WINDOW", 100)
    filters, length = 12, 300
    architecture = {"type": "dilated", "head": "profile", "filters": filters, "layers": 2}
    found = scaling_rates.network_rates(architecture, torch.device("cpu"), 1e-3)
    assert found["operations"] == scaling_rates.count(architecture)  # from narrower and wider ones, and itself
    layers = 4 * 21 * filters + 2 * 3 * filters**2 + 75 * filters
    forward = 2 * length * layers + 2 * (filters * 32 + 32)  # a dense layer and the counts behind the mean
    work = found["operations"]
    assert work["prediction"] == forward
    assert work["sequence"] == pytest.approx(2 * forward, rel=0.01)  # its profile's weights, and what is kept of it
    assert work["pair"] == pytest.approx(2 * forward, rel=0.01)
    assert 2.3 * forward < work["training"] < 3 * forward  # weights and positions, but not the bases
    assert work["point"] < 2 * forward  # the first layer is computed once for a path
    assert all(1e6 < rate < 1e13 for rate in found["operations_per_second"].values())
    assert 0 < found["mean_of_folds_over_one"] < 1000


def test_what_follows_attribution_grows_with_bases_and_files(reckon):
    import scaling

    run = scaling.LargeRun()
    same = {"regions": 100_000, "length": 500, "outputs": 20, "methods": ("deeplift", "interior_gradients")}
    assert (run.bases, run.files) == (50_000_000, 40) and 5 < run.track_bytes_per_base < 6
    assert set(scaling.AFTER) | {"track"} <= set(run.jobs)
    for stage, cost in run.jobs.items():
        assert reckon(**same).job(stage) == pytest.approx(cost)
    twice = reckon(**same | {"length": 1000, "outputs": 40})
    times = {stage: twice.job(stage)[0] / seconds for stage, (seconds, _) in run.jobs.items()}
    assert times["track"] == times["hits"] == pytest.approx(2)
    assert times["report"] == times["grammar"] == pytest.approx(4)
    assert times["logos"] == times["compendium"] == 1
