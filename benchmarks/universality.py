"""Which models can each library explain? Prints the table of docs and README as Markdown.

    python benchmarks/universality.py > benchmarks/results/universality.md

Every library is given the models of tests/fixtures/attribution_models.py in evaluation mode, as its documentation
asks, and the same sequences and references in float32 on the CPU. Nothing is registered and no model is rewritten:
tangermeme has `additional_nonlinear_ops` for that, and whoever knows which operations need it can use it.

What counts, for every pair of sequence and reference:

exact            |Σ contributions - (f(sequence) - f(reference))| ≤ 1e-4 · |f(sequence) - f(reference)|
refused by name  an error that names an operation or a type of module of the model
refused          another error
warned           a result that is not exact, with a warning that the model alone does not give
wrong            a result that is not exact, and not a word

f is the model on each sequence alone. Where the difference is small, the mean difference takes its place. shap gives
the mean over references only, and that mean is compared with the mean difference: errors may cancel for it.
captum says at every call that it sets hooks; that is no warning here, nor is what libraries say of deprecated calls.
captum returns its convergence delta only on request, so most users do not see it; how often it would show the error
is printed below the sums.
"""

import argparse
import copy
import re
import sys
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from printing import installed, table, versions
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from fixtures.attribution_models import LENGTH, MODELS, REFUSED, build, pairs

TOLERANCE = 1e-4  # of the difference explained, in float32
KINDS = ("exact", "refused by name", "refused", "warned", "wrong")
ROUTINE = ("Setting forward, backward hooks and attributes", "did not already require gradients")  # captum, each call


@dataclass(frozen=True)
class Answer:
    """Σ contributions, (N, R) or their means over references (N, 1), and what the library said of its own error."""

    total: Tensor
    delta: Tensor | None = None


@dataclass(frozen=True)
class Outcome:
    kind: str
    error: float = 0.0  # largest relative error over pairs
    message: str = ""  # of the error, or the first warning
    told: bool = False  # whether the library's own convergence delta, where it has one, is above the tolerance
    damage: tuple[str, ...] = ()  # what was found changed after the call


def with_seqlift(model: nn.Module, x: Tensor, references: Tensor, target: int) -> Answer:
    from seqlift import deeplift

    one_by_one = [deeplift(model, x, references[:, k : k + 1], target=target) for k in range(references.shape[1])]
    return Answer(torch.stack([result.contributions.sum((1, 2)) for result in one_by_one], 1))


def with_tangermeme(model: nn.Module, x: Tensor, references: Tensor, target: int) -> Answer:
    from tangermeme.deep_lift_shap import deep_lift_shap

    multipliers = deep_lift_shap(model, x, target=target, references=references, raw_outputs=True, device="cpu")
    return Answer((multipliers * (x[:, None] - references)).sum((2, 3)))


def with_captum(model: nn.Module, x: Tensor, references: Tensor, target: int) -> Answer:
    from captum.attr import DeepLift

    total, delta = [], []
    for k in range(references.shape[1]):
        contributions, error = DeepLift(model).attribute(
            x, baselines=references[:, k], target=target, return_convergence_delta=True
        )
        total.append(contributions.detach().sum((1, 2)))
        delta.append(error.detach())
    return Answer(torch.stack(total, 1), torch.stack(delta, 1))


def with_shap(model: nn.Module, x: Tensor, references: Tensor, target: int, check: bool = True) -> Answer:
    import shap

    total = []
    for sequence, background in zip(x, references, strict=True):  # the references are each sequence's own
        values = shap.DeepExplainer(model, background).shap_values(sequence[None], check_additivity=check)
        total.append(torch.as_tensor(values[0, ..., target].sum()))
    return Answer(torch.stack(total)[:, None])


def with_shap_unchecked(model: nn.Module, x: Tensor, references: Tensor, target: int) -> Answer:
    return with_shap(model, x, references, target, check=False)


LIBRARIES: dict[str, tuple[str, Callable[..., Answer]]] = {
    "seqlift": ("seqlift", with_seqlift),
    "tangermeme": ("tangermeme", with_tangermeme),
    "captum": ("captum", with_captum),
    "shap": ("shap", with_shap),
    "shap, additivity unchecked": ("shap", with_shap_unchecked),
}


class Names(TorchFunctionMode):
    """Collects the names of the functions that a model calls."""

    def __init__(self):
        super().__init__()
        self.names: set[str] = set()

    def __torch_function__(self, function, types, args=(), kwargs=None):
        self.names.add(getattr(function, "__name__", ""))
        return function(*args, **(kwargs or {}))


class Plain(nn.Module):
    """A function as a module, for the libraries that take nothing else."""

    def __init__(self, function: Callable[[Tensor], Tensor]):
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


@dataclass(frozen=True)
class Case:
    """A model with what it does by itself, without any library."""

    make: Callable[[], nn.Module]
    target: int
    change: Tensor  # (N, R): f(sequence) - f(reference)
    warnings: frozenset[str]
    names: frozenset[str]


def make_refused(name: str) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = REFUSED[name][0]()
        if not isinstance(model, nn.Module):
            return Plain(model)
        model.head = nn.Identity()  # what is refused comes last
        return model.float()


def prepare(name: str, x: Tensor, references: Tensor) -> Case:
    """Run a model alone: one sequence at a time, as nobody's result should depend on its batch."""

    def make() -> nn.Module:
        return (make_refused(name) if name in REFUSED else build(name, torch.float32)).eval()

    model = make()
    with warnings.catch_warnings(record=True) as caught, torch.random.fork_rng():
        warnings.simplefilter("always")
        with torch.no_grad():
            fx = torch.cat([model(row[None]) for row in x])
            fr = torch.cat([model(row[None]) for row in references.flatten(0, 1)])
        with Names() as collected:
            model(x.clone().requires_grad_())
    change = fx[:, None] - fr.view(*references.shape[:2], -1)  # (N, R, T)
    target = int(change.abs().mean((0, 1)).argmax())  # the output with most to explain
    classes = {type(module).__name__ for module in model.modules() if module is not model}
    return Case(
        make,
        target,
        change[..., target],
        frozenset(str(warning.message) for warning in caught),
        frozenset(collected.names | classes | {"autograd.Function"}) - {""},
    )


def names_it(message: str, names: frozenset[str]) -> bool:
    """Whether a message names one of these as code: `relu`, relu(...), torch.relu, nn.ReLU or the class ReLU.

    Most names are English words too ("sum", "where"), so that the bare word proves nothing unless it is a class.
    """
    for name in names:
        word = re.escape(name)
        code = rf"[`'\"]{word}[`'\"]|\b{word}\(|\.{word}\b"
        is_distinct = not name.isalpha() or any(letter.isupper() for letter in name[1:])
        if re.search(code, message) or (is_distinct and re.search(rf"\b{word}\b", message)):
            return True
    return False


def state(model: nn.Module, tensors: list[Tensor]) -> dict[str, list]:
    """Everything about the model and the caller's tensors that must not change."""
    modules, parameters = list(model.modules()), list(model.parameters())
    return {
        "train flags": [module.training for module in modules],
        "weights": [parameter.detach().clone() for parameter in parameters],
        "buffers": [buffer.clone() for buffer in model.buffers()],
        "requires_grad": [parameter.requires_grad for parameter in parameters],
        "gradients": [copy.copy(parameter.grad) for parameter in parameters],
        "hooks": [len(value) for module in modules for key, value in vars(module).items() if key.endswith("_hooks")],
        "attributes": [sorted(vars(module)) for module in modules],
        "grad mode": [torch.is_grad_enabled()],
        "caller's tensors": [
            part for t in tensors for part in (t.detach().clone(), t.requires_grad, copy.copy(t.grad))
        ],
    }


def differences(before: dict[str, list], after: dict[str, list]) -> tuple[str, ...]:
    def same(a, b) -> bool:
        if isinstance(a, Tensor) and isinstance(b, Tensor):
            return a.shape == b.shape and bool(((a == b) | (a.isnan() & b.isnan())).all())
        return type(a) is type(b) and a == b

    return tuple(
        key
        for key, values in before.items()
        if len(values) != len(after[key]) or not all(map(same, values, after[key]))
    )


def attempt(explain: Callable[..., Answer], case: Case, x: Tensor, references: Tensor) -> Outcome:
    """Give a library one model and say what came of it."""
    model, x, references = case.make(), x.clone(), references.clone()
    before = state(model, [x, references])
    answer, message = None, ""
    with warnings.catch_warnings(record=True) as caught, torch.random.fork_rng():
        warnings.simplefilter("always")
        try:
            answer = explain(model, x, references, case.target)
        except Exception as error:  # whatever a library raises is its refusal
            message = f"{type(error).__name__}: {error}"
    damage = differences(before, state(model, [x, references]))
    torch.set_grad_enabled(True)
    if answer is None:
        return Outcome(
            "refused by name" if names_it(message, case.names) else "refused", message=message, damage=damage
        )
    change = case.change.double()
    if answer.total.shape != change.shape:
        change = change.mean(1, keepdim=True)
    scale = change.abs().clamp(min=max(float(change.abs().mean()), 1e-12))
    error = float(((answer.total.double() - change).abs() / scale).nan_to_num(torch.inf).max())
    told = answer.delta is not None and bool((answer.delta.double().abs() > TOLERANCE * scale).any())
    said = [str(w.message) for w in caught if not issubclass(w.category, (DeprecationWarning, FutureWarning))]
    said = [text for text in said if text not in case.warnings and not any(words in text for words in ROUTINE)]
    kind = "exact" if error <= TOLERANCE else "warned" if said else "wrong"
    return Outcome(kind, error, said[0] if kind == "warned" else "", told, damage)


def attempt_in_training(explain: Callable[..., Answer], case: Case, x: Tensor, references: Tensor) -> Outcome:
    """The same in the middle of training: is a frozen submodule, a frozen weight, a waiting gradient left alone?"""

    def make() -> nn.Module:
        model = case.make().train()
        *_, last = model.modules()
        last.eval()
        for parameter in model.parameters():
            parameter.grad = torch.ones_like(parameter)
        if parameters := list(model.parameters()):
            parameters[0].requires_grad_(False)
        return model

    return attempt(explain, Case(make, case.target, case.change, case.warnings, case.names), x, references)


def cell(outcome: Outcome) -> str:
    text = outcome.kind
    if outcome.kind in ("warned", "wrong"):
        size = f"{outcome.error:.1%}" if outcome.error < 10 else "over 1000%"
        text += f" ({size if outcome.error >= 0.001 else f'{outcome.error:.1e}'})"
    return f"**{text}**" if outcome.kind in ("refused", "warned", "wrong") else text


def shorten(message: str) -> str:
    """One line, numbers left out: messages that differ in them are the same message."""
    text = re.sub(r"\[[^\]]*\d[^\]]*\]", "[…]", " ".join(message.split()))
    text = re.sub(r"\b\d+(\.\d+)?(e-?\d+)?%?", "…", text)
    return text if len(text) <= 150 else text[:147] + "..."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", choices=[*MODELS, *REFUSED], metavar="NAME", help="only these models")
    parser.add_argument("--libraries", nargs="+", choices=LIBRARIES, metavar="NAME", help="only these libraries")
    arguments = parser.parse_args()

    wanted = arguments.libraries or list(LIBRARIES)
    missing = sorted({LIBRARIES[name][0] for name in wanted if installed(LIBRARIES[name][0]) is None})
    libraries = {name: LIBRARIES[name][1] for name in wanted if LIBRARIES[name][0] not in missing}
    names = arguments.models or [*MODELS, *REFUSED]
    x, references = pairs(torch.float32)

    given: dict[str, dict[str, Outcome]] = {}
    trained: dict[str, dict[str, Outcome]] = {}
    for name in names:
        print(f"\r{name:60}", end="", file=sys.stderr)
        case = prepare(name, x, references)
        given[name] = {library: attempt(explain, case, x, references) for library, explain in libraries.items()}
        trained[name] = {
            library: attempt_in_training(explain, case, x, references) for library, explain in libraries.items()
        }
    print("\r" + " " * 60, end="\r", file=sys.stderr)

    print("# Which models each library explains\n")
    packages = dict.fromkeys(LIBRARIES[name][0] for name in libraries)
    print(
        f"Printed by `benchmarks/universality.py`. {versions(*packages)}. "
        f"{len(x)} sequences of {LENGTH} bp with {references.shape[1]} references each, float32, CPU."
    )
    if missing:
        print(f"\nNot installed, so left out: {', '.join(missing)}.")
    print(
        "\n"
        + __doc__.split("\n\n", 2)[2].replace("\n\nexact  ", "\n\n```\nexact  ").replace("word\n\n", "word\n```\n\n")
    )

    print("## Sums\n")
    for what, group in (("that can be explained", MODELS), ("that cannot (yet)", REFUSED)):
        members = [name for name in names if name in group]
        counts = {library: Counter(given[name][library].kind for name in members) for library in libraries}
        rows = [[library, *(str(counts[library][kind]) for kind in KINDS)] for library in libraries]
        print(table([f"{len(members)} models {what}", *KINDS], rows) + "\n")
    if "captum" in libraries:
        inexact = [given[name]["captum"] for name in names if given[name]["captum"].kind in ("warned", "wrong")]
        told = sum(outcome.told for outcome in inexact)
        print(f"captum's convergence delta, on request, shows {told} of its {len(inexact)} results that are not exact.")

    print("\n## Is the model left as it was?\n")
    print(
        "Each model is given twice: in evaluation mode, and in the middle of training with its last submodule frozen "
        "in evaluation mode, its first weight frozen, and gradients waiting. (captum explains a model in the mode it "
        "is in, so that running statistics move as they do in training: its users call `eval()` first.) "
        "How often something was changed afterwards:\n"
    )
    keys = list(state(nn.Identity(), []))
    rows = []
    for library in libraries:
        for runs, mode in ((given, "evaluation"), (trained, "training")):
            for failed in (False, True):
                outcomes = [runs[name][library] for name in names]
                outcomes = [outcome for outcome in outcomes if outcome.kind.startswith("refused") == failed]
                changed = Counter(key for outcome in outcomes for key in outcome.damage)
                after = f"{mode}, after {'an error' if failed else 'a result'}"
                rows.append([library, after, str(len(outcomes)), *(str(changed[key] or "") for key in keys)])
    print(table(["library", "given in", "models", *keys], [row for row in rows if row[2] != "0"]))

    print("\n## Models\n")
    print("In brackets the largest error of a pair, as a share of its difference.\n")
    print(
        table(["model", *libraries], [[name, *(cell(given[name][library]) for library in libraries)] for name in names])
    )

    print("\n## What the errors and warnings said\n")
    said = Counter(
        (library, given[name][library].kind, shorten(given[name][library].message))
        for library in libraries
        for name in names
        if given[name][library].message
    )
    print(
        table(
            ["library", "counted as", "models", "message"],
            [[lib, k, str(n), text] for (lib, k, text), n in said.items()],
        )
    )


if __name__ == "__main__":
    main()
