"""Which model is judged on which regions: one model on its test split, the model of each fold on that fold.

Where models were trained from several seeds, what is judged is their mean, which is what is explained.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd

from seqlift.errors import SeqliftError
from seqlift.models.ensemble import Ensemble
from seqlift.models.trained import TrainedModel
from seqlift.regions.table import assign_fold, fold_names, target_names


@dataclass(frozen=True)
class Part:
    """A model with the regions it is judged on and those it learned from.

    Attributes
    ----------
    model : TrainedModel
        What is judged: the mean of `models`.
    models : list of TrainedModel
        One for each seed, in the order of the seeds.
    fold : int or None
    train : pandas.DataFrame
        Regions the baselines may learn from: of the train split, first set of negatives.
    held_out : pandas.DataFrame
        Regions to predict: the test split, and without folds the valid split too; with `split`.
    valid : pandas.DataFrame
        Regions the baselines choose their penalty on.
    """

    model: TrainedModel
    models: list[TrainedModel]
    fold: int | None
    train: pd.DataFrame
    valid: pd.DataFrame
    held_out: pd.DataFrame

    @property
    def name(self) -> str:
        """fold0, fold1, ..., or nothing."""
        return "" if self.fold is None else f"fold{self.fold}"


def make_parts(models: Sequence[TrainedModel], paths: Sequence[str], table: pd.DataFrame, summary: dict) -> list[Part]:
    """Check that models and regions belong together, and share the regions among the models.

    Parameters
    ----------
    models : sequence of TrainedModel
        One or, of several folds or seeds, one of each fold and seed.
    paths : sequence of str
        Their files.
    table : pandas.DataFrame
    summary : dict
        The content of regions.json.

    Raises
    ------
    SeqliftError
        Names the model file and what does not fit.
    """
    for model, path in zip(models, paths, strict=True):
        _check_model(model, path, table, summary)
    folds = fold_names(table)
    given: dict[int | None, dict[int, TrainedModel]] = {}
    for model, path in zip(models, paths, strict=True):
        fold, seed = model.training.get("fold"), int(model.training.get("seed", 0))
        if not folds and fold is not None:
            raise SeqliftError(
                f"{path}: the model of a fold, but the regions are split into train, valid and test; give the models "
                "trained on these regions"
            )
        if folds and (fold is None or not 0 <= fold < len(folds)):
            raise SeqliftError(
                f"{path}: its fold is {fold}, but the regions have folds 0 to {len(folds) - 1}; train again"
            )
        of_fold = given.setdefault(fold, {})
        if seed in of_fold:
            whose = f"seed {seed}" if fold is None else f"fold {fold} (seed {seed})"
            raise SeqliftError(f"{path}: a model of {whose} is given twice; give one of each")
        of_fold[seed] = model
    missing = [f"fold {i}" for i in range(len(folds)) if i not in given]
    if missing:
        raise SeqliftError(f"no model of {', '.join(missing)} is given; give one of each of the {len(folds)} folds")
    seeds = {seed for of_fold in given.values() for seed in of_fold}
    for fold, of_fold in given.items():
        lacking = sorted(seeds - set(of_fold))
        if lacking:
            raise SeqliftError(
                f"no model of fold {fold} and seed {lacking[0]} is given, but other folds have one; give the same "
                "seeds of each fold"
            )
    if not folds:
        return [_part(given[None], None, table)]
    return [_part(given[fold], fold, assign_fold(table, fold)) for fold in range(len(folds))]


def _part(of_fold: dict[int, TrainedModel], fold: int | None, table: pd.DataFrame) -> Part:
    models = [of_fold[seed] for seed in sorted(of_fold)]
    model = models[0]
    if len(models) > 1:
        model = replace(model, model=Ensemble([each.model for each in models]).eval())
    first = table["set"] == 0
    split = {name: table[first & (table["split"] == name)] for name in ("train", "valid", "test")}
    if split["test"].empty:
        raise SeqliftError(
            "the regions have none of split 'test', so nothing can be judged; make them with test chromosomes"
        )
    # With folds each region is held out once, as a test region
    held_out = pd.concat([split["valid"], split["test"]]) if fold is None else split["test"]
    return Part(model, models, fold, split["train"], split["valid"], held_out.reset_index(drop=True))


def _check_model(model: TrainedModel, path: str, table: pd.DataFrame, summary: dict) -> None:
    targets = target_names(table)
    length = int(table["end"].iloc[0] - table["start"].iloc[0])
    again = "give the regions it was trained on, or train again"
    if model.targets != targets:
        raise SeqliftError(
            f"{path}: the model predicts {', '.join(model.targets)}, the regions are of {', '.join(targets)}; {again}"
        )
    if model.length != length:
        raise SeqliftError(f"{path}: the model takes {model.length} bp, the regions have {length} bp; {again}")
    signal = summary.get("signal")
    if model.head != "classes" and not signal:
        raise SeqliftError(
            f"{path}: the model has the head {model.head}, but the regions have no signal (regions.json); {again}"
        )
    shape = model.shape
    if model.head == "profile" and signal and (shape.window, shape.strands) != (signal["window"], signal["strands"]):
        raise SeqliftError(
            f"{path}: the model's profile has {shape.window} bp and {shape.strands} strands, the signal of "
            f"the regions {signal['window']} bp and {signal['strands']}; {again}"
        )
    if model.head != "classes":
        lacking = [name for name in targets if f"signal:{name}" not in table]
        if lacking:
            raise SeqliftError(f"{path}: the regions have no signal of target {lacking[0]!r}; {again}")
