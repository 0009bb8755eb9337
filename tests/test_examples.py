"""The examples in the docstrings of the public calls run as they are written."""

import doctest
import sys

import pytest

import seqlift

CALLS = [name for name in seqlift.__all__ if name.islower() and callable(getattr(seqlift, name))]


@pytest.mark.parametrize("name", CALLS)
def test_the_example_of_a_public_call_runs(name):
    function = getattr(seqlift, name)
    module = sys.modules[function.__module__]
    (example,) = doctest.DocTestFinder(recurse=False).find(function, name, module=module)
    assert example.examples, "no example"
    report = []
    assert doctest.DocTestRunner().run(example, out=report.append).failed == 0, "".join(report)
