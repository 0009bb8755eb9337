"""Types in docstrings as they are written, "torch.Tensor, shape (N, 4, L)": griffe would read them as Python and print
other ones (an extension of griffe, named in mkdocs.yml)."""

import re

import griffe


class TypesAsWritten(griffe.Extension):
    """Puts the text behind `name :` in place of what griffe has made of it."""

    def on_object(self, *, obj: griffe.Object, **_) -> None:
        if obj.docstring is None:
            return
        lines = re.findall(r"^([\w, ]+) : (.+)$", obj.docstring.value, flags=re.MULTILINE)
        written = {name: text for names, text in lines for name in names.split(", ")}
        for section in obj.docstring.parsed:
            if section.kind in (griffe.DocstringSectionKind.parameters, griffe.DocstringSectionKind.attributes):
                for element in section.value:
                    element.annotation = written.get(element.name, element.annotation)
