"""How near predicted profiles come to observed ones, and how near anything could come.

A distance means little by itself: few reads scatter widely around any expectation. So each observed profile is also
compared with three baselines. *Shuffled*: itself with its positions (and strands) in random order, what a prediction
without any knowledge of the place would do. *Mean*: the mean profile of training peaks, which knows what peaks look
like but not this one. *Replicates*: another measurement of the same region, about the best that can be expected. Where
a target has several signal files, the odd and the even ones of the list are compared; where it has
one, its reads are divided at random into two halves (binomial thinning), which needs whole numbers. Either has about
half of the reads that the prediction is compared with, so a good model can be better than this baseline.
"""

import shutil
import tempfile
import zlib
from pathlib import Path

import numpy as np
import pandas as pd

from seqlift.core.metrics import jensen_shannon
from seqlift.data import signal
from seqlift.data.genome import Genome
from seqlift.evaluation.parts import Part
from seqlift.models.predicting import BATCH, predict_profiles
from seqlift.regions.table import TARGET_PREFIX

MEAN_SAMPLE = 2_000  # training peaks whose mean profile is a baseline
EXAMPLES = (0.1, 0.5, 0.9)  # quantiles of the distance at which examples are shown


class ProfileJudge:
    """Predicts the profiles of a part's held-out regions and measures their distances; a context manager.

    Parameters
    ----------
    part : Part
    summary : dict
        The content of regions.json.
    genome : Genome
    seed : int
    work_dir : pathlib.Path
        Holds the signal of the regions while the judge works.
    """

    def __init__(self, part: Part, summary: dict, genome: Genome, *, seed: int, work_dir: Path):
        self.part, self.summary, self.genome, self.seed = part, summary, genome, seed
        self.names = part.model.targets
        self.files = summary["signal"]["files"]
        self.work_dir = work_dir

    def __enter__(self) -> "ProfileJudge":
        for left_over in self.work_dir.glob(".signal.*"):  # of an evaluation that was killed
            shutil.rmtree(left_over, ignore_errors=True)
        self._folder = tempfile.TemporaryDirectory(prefix=".signal.", dir=self.work_dir)
        self.signal = self._load(self.part.held_out, self.files)
        self.replicated = [i for i, name in enumerate(self.names) if replicate_kind(self.files[name]) == "replicates"]
        self.halves = []
        if self.replicated:
            for side in (0, 1):
                files = self.files | {
                    self.names[i]: _every_other(self.files[self.names[i]], side) for i in self.replicated
                }
                self.halves.append(self._load(self.part.held_out, files))
        self.mean = self._mean_profiles()
        return self

    def __exit__(self, *error: object) -> None:
        del self.signal, self.halves  # before their files go
        self._folder.cleanup()

    def _load(self, table: pd.DataFrame, files: dict[str, dict]) -> signal.Signal:
        settings = self.summary["signal"] | {"files": files}
        folder = Path(tempfile.mkdtemp(dir=self._folder.name))
        table = table.reset_index(drop=True)
        return signal.load_signal(table, settings, self.names, self.genome.sizes, margin=0, folder=folder)

    def _mean_profiles(self) -> np.ndarray:
        """Mean of the profiles, each scaled to sum 1, of training peaks of each target, shape (T, S, W)."""
        train = self.part.train
        shape = self.signal.values.shape[1:]
        mean = np.zeros(shape)
        for i, name in enumerate(self.names):
            peaks = np.flatnonzero((train[TARGET_PREFIX + name] == 1).to_numpy())
            chosen = np.sort(np.random.default_rng(self.seed).permutation(peaks)[:MEAN_SAMPLE])
            if len(chosen):
                values = np.asarray(self._load(train.iloc[chosen], self.files).values[:, i], float)
                total = values.sum(axis=(1, 2), keepdims=True)
                mean[i] = np.divide(values, total, out=np.zeros_like(values), where=total > 0).mean(axis=0)
        return mean

    def predict(self, rows: np.ndarray, codes: np.ndarray, device: str) -> tuple[np.ndarray, np.ndarray]:
        """Shares of the profile (B, T, S, W), which sum to 1 for each target, and log counts (B, T) of some rows."""
        control = None
        if self.part.model.shape.control_channels:
            assert self.signal.control is not None
            control = np.asarray(self.signal.control[rows], np.float32)
        found = predict_profiles(self.part.model.model, codes[rows], control=control, device=device)
        logits = found.logits.astype(float)
        shares = np.exp(logits - logits.max(axis=(2, 3), keepdims=True))
        return shares / shares.sum(axis=(2, 3), keepdims=True), found.log_counts

    def judge(self, codes: np.ndarray, *, device: str) -> tuple[np.ndarray, pd.DataFrame]:
        """Log counts (N, T) of all held-out regions and a table of distances; NaN where nothing was measured."""
        n = len(codes)
        log_counts = np.empty((n, len(self.names)), np.float32)
        kinds = ("jsd", "jsd_shuffled", "jsd_mean", "jsd_replicates")
        found = {f"{kind}:{name}": np.full(n, np.nan) for name in self.names for kind in kinds}
        keys = [zlib.crc32(name.encode()) for name in self.part.held_out["name"]]
        for first in range(0, n, BATCH):
            rows = np.arange(first, min(first + BATCH, n))
            shares, log_counts[rows] = self.predict(rows, codes, device)
            for i, name in enumerate(self.names):
                values = np.asarray(self.signal.values[rows, i], float)  # (B, S, W)
                there = np.flatnonzero(self.signal.known[rows, i] & (values.sum(axis=(1, 2)) > 0))
                values, here = values[there], rows[there]
                found[f"jsd:{name}"][here] = jensen_shannon(values, shares[there, i])
                if self.mean[i].any():
                    mean = np.broadcast_to(self.mean[i], values.shape)
                    found[f"jsd_mean:{name}"][here] = jensen_shannon(values, mean)
                generators = [np.random.default_rng([self.seed, keys[row], i]) for row in here]
                flat = values.reshape(len(values), -1)
                shuffled = np.array([each.permutation(row) for each, row in zip(generators, flat, strict=True)])
                found[f"jsd_shuffled:{name}"][here] = jensen_shannon(flat, shuffled.reshape(flat.shape))
                pair = self._two_measurements(i, here, flat, generators)
                if pair is not None:
                    found[f"jsd_replicates:{name}"][here] = jensen_shannon(*pair)
        return log_counts, pd.DataFrame(found)

    def _two_measurements(
        self, i: int, rows: np.ndarray, flat: np.ndarray, generators: list[np.random.Generator]
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """Two profiles of each region, (B, S * W): of replicates, or of two halves of the reads."""
        if i in self.replicated:
            first, second = (np.asarray(self.halves[side].values[rows, i]).reshape(flat.shape) for side in (0, 1))
            return first, second
        if (flat != np.round(flat)).any():
            return None
        drawn = [each.binomial(row.astype(np.int64), 0.5) for each, row in zip(generators, flat, strict=True)]
        half = np.array(drawn, float).reshape(flat.shape)
        return half, flat - half

    def examples(self, rows: pd.DataFrame, codes: np.ndarray, *, device: str) -> pd.DataFrame:
        """Observed and predicted signal of some test peaks of each target, one row a base and strand.

        Of the peaks with at least the median count, those whose distance is nearest to the `EXAMPLES` quantiles.
        `predicted` is the predicted share of each base times the observed total.
        """
        tables = []
        for i, name in enumerate(self.names):
            for row in example_rows(rows, name):
                shares, _ = self.predict(np.array([row]), codes, device)
                values = np.asarray(self.signal.values[row, i], float)  # (S, W)
                region = rows.iloc[row]
                start = int(region["start"]) + (int(region["end"] - region["start"]) - self.signal.window) // 2
                for s, strand in enumerate("+-" if len(values) == 2 else "."):
                    tables.append(
                        pd.DataFrame(
                            {
                                "target": name,
                                "name": region["name"],
                                "chrom": region["chrom"],
                                "position": start + np.arange(values.shape[1]),
                                "strand": strand,
                                "observed": values[s],
                                "predicted": shares[0, i, s] * values.sum(),
                            }
                        )
                    )
        columns = ["target", "name", "chrom", "position", "strand", "observed", "predicted"]
        return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns)


def example_rows(rows: pd.DataFrame, name: str) -> list[int]:
    """Rows of the test peaks to show for one target, from the best predicted to the worst; see `ProfileJudge`."""
    peaks = rows[(rows["split"] == "test") & (rows[TARGET_PREFIX + name] == 1) & rows[f"jsd:{name}"].notna()]
    peaks = peaks[peaks[f"signal:{name}"] >= peaks[f"signal:{name}"].median()].sort_values(f"jsd:{name}", kind="stable")
    places = [round(quantile * (len(peaks) - 1)) for quantile in EXAMPLES] if len(peaks) else []
    return list(dict.fromkeys(int(peaks.index[place]) for place in places))


def replicate_kind(files: dict[str, list]) -> str:
    """The replicate baseline of a target: `replicates`, where each strand has several files, or `halves`."""
    minus = files.get("signal_minus") or []
    return "replicates" if len(files["signal"]) > 1 and len(minus) != 1 else "halves"


def _every_other(files: dict[str, list], side: int) -> dict[str, list]:
    """A target's files with those at odd (0) or even (1) places of each list of signals alone."""
    return files | {kind: list(files.get(kind) or [])[side::2] for kind in ("signal", "signal_minus")}
