"""What griffe does not read in the sources: the heading of examples, and what is public."""

import re
from typing import Any

import griffe

# A session of the interpreter that is a paragraph of the docstring, at the left margin.
_SESSION = re.compile(r"^>>> .*(?:\n.+)*", re.MULTILINE)


class Sources(griffe.Extension):
    """Makes `Example:` a section of griffe's, and shows every object where it is defined alone."""

    def on_instance(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Changes the docstring of a module, class, function or attribute."""
        if obj.docstring:
            text = re.sub(r"^( *)Example:$", r"\1Examples:", obj.docstring.value, flags=re.MULTILINE)
            obj.docstring.value = _SESSION.sub(lambda found: "Examples:\n  " + found[0].replace("\n", "\n  "), text)

    def on_alias_instance(self, *, alias: griffe.Alias, **kwargs: Any) -> None:
        """Hides a name that a module imports from another one."""
        alias.public = False
