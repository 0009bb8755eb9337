"""What type checkers see of the package: the public calls, and type hints on all of them."""

import ast
import inspect
import tomllib
from pathlib import Path

import pytest

import seqlift

ROOT = Path(__file__).parents[1]
PUBLIC = sorted(set(seqlift.__all__) - {"__version__"})


def test_type_checkers_see_the_public_calls():
    """They run no `__getattr__`: its table is repeated as imports, which must be the same."""
    tree = ast.parse((ROOT / "src" / "seqlift" / "__init__.py").read_text())
    (chosen,) = (node for node in tree.body if isinstance(node, ast.If))
    seen = {
        alias.asname: (node.module, alias.name)
        for node in chosen.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == {name: (seqlift._PUBLIC[name], name) for name in PUBLIC}


@pytest.mark.parametrize("name", PUBLIC)
def test_public_calls_have_type_hints(name):
    call = getattr(seqlift, name)
    if inspect.isfunction(call):
        signature = inspect.signature(call)
        hints = [signature.return_annotation, *(each.annotation for each in signature.parameters.values())]
        assert inspect.Signature.empty not in hints


def test_mypy_leaves_no_module_out():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mypy"]
    assert settings["files"] == ["src"] and settings["disallow_untyped_defs"]
    assert "overrides" not in settings and "exclude" not in settings
