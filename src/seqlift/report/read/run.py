"""What a run left behind: every file of the other stages that the report and the summary read, checked once.

A report shows numbers side by side that different stages wrote at different times. A file that is missing, cut short or
of another run must stop it with the name of the stage to run again; it must not become an empty figure.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from seqlift.data.intervals import read_peaks
from seqlift.errors import SeqliftError
from seqlift.evaluation.comparison import FORMAT as METRICS_FORMAT
from seqlift.motifs.folder import MotifFolder, read_motifs
from seqlift.regions.table import FORMAT as REGIONS_FORMAT
from seqlift.regions.table import read_regions
from seqlift.report.read.files import read_json, read_table, require
from seqlift.report.read.findings import (
    Compendium,
    Sites,
    read_compendium,
    read_faithfulness,
    read_hit_summary,
    read_sites,
)

METHODS = ("deeplift", "interior_gradients")
MUTAGENESIS = "mutagenesis"  # not a method of the run, but their reference, on some regions
METHOD_NAMES = {"deeplift": "DeepLIFT", "interior_gradients": "Interior gradients", MUTAGENESIS: "Mutagenesis"}
WEAK = {"auroc": 0.6, "pearson": 0.2}  # below this a model's explanations explain little


@dataclass(frozen=True)
class Run:
    """The results of one run at one input length."""

    directory: Path  # results/<name>/<length>bp
    name: str
    length: int  # bp
    targets: list[str]  # in the order of the model
    outputs: list[str]  # what is explained: the targets, or `<target>.counts` and `<target>.profile` of each
    methods: list[str]  # deeplift before interior_gradients
    head: str  # what the model predicts: classes, counts or profile
    folds: int  # number of folds, each held out by a model of its own; 0 without folds
    seeds: list[int]  # those of which there is a model, of each fold; empty for a single one
    mutagenesis: bool  # whether there are score files of mutagenesis, too
    regions: dict  # regions.json
    metrics: dict  # model/metrics.json
    motifs: dict[tuple[str, str], MotifFolder]  # by output and method
    fold_motifs: dict[tuple[str, str, str], MotifFolder]  # by output, method and fold whose model was explained alone
    hits: dict[tuple[str, str], dict]  # hits.json by output and method, of those for which hits were called
    compendium: Compendium | None
    faithfulness: pd.DataFrame | None  # faithfulness.tsv
    sites: list[Sites]  # mean contributions around the sites of a BED file
    truth: dict | None  # truth.json; only simulated data have one

    def scores(self, output: str, method: str, fold: str = "") -> Path:
        """The score file of one output and method, or of one fold's model alone."""
        return self.directory / "scores" / (f"fold{fold}" if fold else "") / f"{output}.{method}.h5"

    def track(self, output: str, method: str) -> Path:
        """The bigWig file of one output and method."""
        return self.directory / "tracks" / f"{output}.{method}.bw"

    def model_folders(self) -> list[Path]:
        """model/, or model/fold0/, model/fold1/, ..., or with several seeds model/fold0/seed1/ or model/seed1/, ..."""
        folder = self.directory / "model"
        return [
            folder / (f"fold{model['fold']}" if self.folds else "") / (f"seed{model['seed']}" if self.seeds else "")
            for model in self.metrics["models"]
        ]

    def metric(self, target: str) -> dict:
        """The numbers of one target on the held-out regions."""
        return self.metrics["targets"][target]

    def headline(self, target: str) -> tuple[str, dict]:
        """`auroc` or `pearson`, and the numbers that contain it: vs. all other held-out regions, or over all."""
        found = self.metric(target)
        return ("auroc", found["against"]["all"]) if self.head == "classes" else ("pearson", found["groups"]["all"])

    def flagged(self) -> list[str]:
        """Outputs whose validation loss was no better than that of the base rate, as training found."""
        by_output = self.metrics["learned_outputs"]
        return [name for name in self.outputs if by_output.get(name) is False]

    def unlearned(self) -> list[str]:
        """Of the flagged outputs those that are not predicted well either: the model learned nothing about them."""
        return [output for output in self.flagged() if self._is_weak(output)]

    def _is_weak(self, output: str) -> bool:
        about = next(each for each in self.metrics["outputs"] if each["name"] == output)
        if about["quantity"] == "profile":
            peaks = self.metric(about["target"])["profile"]["groups"]["peaks"]
            model, mean = ((peaks.get(kind) or {}).get("median") for kind in ("model", "mean"))
            return model is None or mean is None or model >= mean
        kind, numbers = self.headline(about["target"])
        return (numbers.get(f"{kind}_low") or 0) < WEAK[kind]

    def outputs_of(self, target: str) -> list[str]:
        """Names of the outputs of one target."""
        return [each["name"] for each in self.metrics["outputs"] if each["target"] == target]

    def region_table(self) -> pd.DataFrame:
        """regions.tsv.gz, one row a region."""
        path = self.directory / "regions.tsv.gz"
        require(path, "regions")
        return read_regions(path)

    def histories(self) -> list[pd.DataFrame]:
        """history.tsv of each model, one row an epoch, of the training that was kept."""
        kind = "auroc" if self.head == "classes" else "pearson"
        columns = ["epoch", "train_loss", "valid_loss", *(f"valid_{kind}_{target}" for target in self.targets)]
        found = []
        for folder, model in zip(self.model_folders(), self.metrics["models"], strict=True):
            history = read_table(folder / "history.tsv", columns, "train")
            kept = history["attempt"] == model.get("attempt") if "attempt" in history else [True] * len(history)
            found.append(history[kept] if any(kept) else history)
        return found

    def predictions(self) -> pd.DataFrame:
        """model/predictions.tsv.gz, one row a held-out region."""
        kinds = {"classes": ["logit"], "counts": ["signal", "log_count"]}
        kinds["profile"] = [*kinds["counts"], "jsd", "jsd_shuffled", "jsd_mean", "jsd_replicates"]
        columns = ["name", "split", "kind"]
        columns += [f"{kind}:{target}" for target in self.targets for kind in ("target", *kinds[self.head])]
        return read_table(self.directory / "model" / "predictions.tsv.gz", columns, "evaluate")

    def profiles(self) -> pd.DataFrame | None:
        """model/profiles.tsv.gz, example profiles, one row a base and strand; None without a profile head."""
        if self.head != "profile":
            return None
        columns = ["target", "name", "chrom", "position", "strand", "observed", "predicted"]
        return read_table(self.directory / "model" / "profiles.tsv.gz", columns, "evaluate")

    def planted_sites(self) -> pd.DataFrame | None:
        """Motif instances that the simulation planted (chrom, start, end, name), from its truth.bed; else None."""
        path = Path(self.regions["genome"]["path"]).parent / "truth.bed"
        return read_peaks(path) if self.truth is not None and path.is_file() else None


def load_run(directory: str | os.PathLike, methods: list[str] | None = None, mutagenesis: bool = False) -> Run:
    """Read the small files of a run and check that the large ones are there.

    Parameters
    ----------
    directory : path-like
        results/<name>/<length>bp
    methods : list of str, optional
        The methods that must be there for every output. Default: those with a score file.
    mutagenesis : bool
        Whether score files of mutagenesis must be there, too. Otherwise those that are there are left aside, as they
        may be of an earlier run.

    Raises
    ------
    SeqliftError
        If a file is missing or broken; the message names it and the stage that makes it.
    """
    directory = Path(directory)
    if not directory.is_dir():
        raise SeqliftError(f"{directory}: no such folder; `--run-dir` is the folder results/<name>/<length>bp of a run")
    keys = ["length", "targets", "genome", "seed", "kept", "regions", "dropped", "peaks", "negatives"]
    regions = read_json(directory / "regions.json", "regions", keys, REGIONS_FORMAT)
    targets = [str(target) for target in regions["targets"]]
    path = directory / "model" / "metrics.json"
    keys = ["targets", "outputs", "head", "models", "learned_outputs", "parameters"]
    metrics = read_json(path, "evaluate", keys, METRICS_FORMAT)
    for target in targets:
        if target not in metrics["targets"]:
            raise SeqliftError(
                f"{path}: it has no target {target!r}, which regions.json has: the two are of different runs; run "
                "`seqlift evaluate` again"
            )
    outputs = [str(output["name"]) for output in metrics["outputs"]]
    if methods is None:
        methods = [method for method in METHODS if (directory / "scores" / f"{outputs[0]}.{method}.h5").exists()]
        if not methods:
            folder = directory / "scores"
            raise SeqliftError(f"{folder}: no score file of {outputs[0]!r} there; `seqlift attribute` makes them")
    methods = sorted(methods)
    motifs = {}
    for output in outputs:
        for method in methods:
            require(directory / "scores" / f"{output}.{method}.h5", "attribute")
            require(directory / "tracks" / f"{output}.{method}.bw", "tracks")
            motifs[output, method] = read_motifs(directory / "motifs" / method / output)
        if mutagenesis:
            require(directory / "scores" / f"{output}.{MUTAGENESIS}.h5", "attribute")
    folds = {model.get("fold") for model in metrics["models"]} - {None}
    seeds = sorted({model.get("seed") for model in metrics["models"]} - {None})
    truth_path = directory / "truth.json"
    return Run(
        directory=directory,
        name=directory.resolve().parent.name,
        length=int(regions["length"]),
        targets=targets,
        outputs=outputs,
        methods=methods,
        head=metrics["head"],
        folds=len(folds),
        seeds=seeds if len(metrics["models"]) > max(1, len(folds)) else [],
        mutagenesis=mutagenesis,
        regions=regions,
        metrics=metrics,
        motifs=motifs,
        fold_motifs={
            (output, method, fold.name.removeprefix("fold")): read_motifs(fold / method / output)
            for fold in sorted((directory / "motifs").glob("fold*"))
            for output in outputs
            for method in methods
            if (fold / method / output / "motifs.json").is_file()
        },
        hits={key: found for key, each in motifs.items() if (found := read_hit_summary(each.folder)) is not None},
        compendium=read_compendium(directory),
        faithfulness=read_faithfulness(directory),
        sites=read_sites(directory, outputs, methods),
        truth=read_json(truth_path, "truth", []) if truth_path.exists() else None,
    )
