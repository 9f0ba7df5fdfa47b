"""Pages that need no network: formulas become MathML while the site is built, and nothing is asked of another host."""

import html
import importlib.util
import logging
import pathlib
import posixpath
import re
from collections.abc import Iterable
from typing import Any

from latex2mathml import converter
from mkdocs.structure.files import File

_LOG = logging.getLogger("mkdocs.hooks.pages")
_FONT = "STIXTwoMath-Regular.ttf"
# pymdownx.arithmatex marks the formulas of Markdown pages; nbconvert leaves the dollars in the text of notebooks.
_MARKED = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', re.DOTALL)
_DOLLARS = re.compile(r"(\$\$?)(?!\s*\$)(.+?)\1", re.DOTALL)
_NOTEBOOK_TEXT = re.compile(
    r'(<div class="jp-RenderedHTMLCommon jp-RenderedMarkdown[^>]*>)(.*?)(</div>\s*</div>)', re.DOTALL
)
_CODE = re.compile(r"(<(?:code|pre)\b.*?</(?:code|pre)>)", re.DOTALL)
_FUNCTION = r"\\(log|ln|exp|max|min|cos|sin|tanh)(?![a-zA-Z])"
_SCRIPT = re.compile(r"<script\b[^>]*>.*?</script>", re.DOTALL)
_LOCAL = re.compile(r'\b(href|src)="(?!\w+:|#)([^"#]+)')
_REMOTE = re.compile(r'<(?:script|link|img)\b[^>]*\b(?:href|src)="(?:https?:)?//[^"]*"')


def mathml(formula: str, display: bool) -> str:
    """A LaTeX formula as MathML; a command that has no MathML leaves a warning.

    Args:
      formula: LaTeX without its dollars; HTML entities are understood.
      display: whether the formula stands in a line by itself.
    """
    latex = html.unescape(formula).strip()
    # The converter aligns in starred environments alone, and needs braces around the letter of an alphabet.
    latex = re.sub(r"(begin|end)\{(?:aligned|split|align)\}", r"\1{align*}", latex)
    latex = re.sub(r"\\(math(?:bf|bb|cal|rm|sf|it)|boldsymbol)\s+(\w)", r"\\\1{\2}", latex)
    # It leaves no room around the name of a function, and too much after the name of an operator.
    latex = re.sub(rf"(?<=[a-zA-Z0-9)}}\]])\s*{_FUNCTION}", r"\\,\\\1", latex)
    latex = re.sub(rf"{_FUNCTION}\s*(?=[a-zA-Z0-9]|\\[a-zA-Z])", r"\\\1\\,", latex)
    latex = latex.replace(r"\operatorname{", r"\mathrm{")
    text = converter.convert(latex, display="block" if display else "inline")
    # nbconvert escapes the signs of a formula, so that a tag tells of dollars that enclose something else.
    if "<" in formula or re.search(r">(?:\\|&amp;)", text):
        _LOG.warning("no MathML for the formula %s", formula)
    return text


def on_files(files: Any, config: Any) -> Any:
    """The font of formulas goes into the site."""
    font = pathlib.Path(importlib.util.find_spec("ziamath").origin).parent / "fonts" / _FONT
    files.append(File.generated(config, f"assets/{_FONT}", abs_src_path=str(font)))
    return files


def _dollars(text: str) -> str:
    """A text of a notebook with MathML where dollars enclose a formula."""
    return _DOLLARS.sub(lambda match: mathml(match[2], match[1] == "$$"), text)


def _headings(items: Iterable[Any]) -> None:
    """Turns the formulas in a table of contents into MathML."""
    for item in items:
        item.title = _dollars(item.title)
        _headings(item.children)


def on_page_content(text: str, page: Any, config: Any, files: Any) -> str:
    """A page with formulas as MathML; in a notebook links lead to pages, and scripts are left out."""
    if not page.file.src_uri.endswith(".ipynb"):
        return _MARKED.sub(lambda match: mathml(match[3], match[2] == "["), text)
    _headings(page.toc)

    def link(match: re.Match) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(page.file.src_uri), match[2]))
        file = files.get_file_from_path(target)
        if file is None:
            _LOG.warning("%s: no file %s", page.file.src_uri, target)
            return match[0]
        return f'{match[1]}="{file.url_relative_to(page.file)}'

    def cell(match: re.Match) -> str:
        pieces = _CODE.split(_LOCAL.sub(link, match[2]))
        # The split gives text and code by turns.
        pieces[::2] = map(_dollars, pieces[::2])
        return match[1] + "".join(pieces) + match[3]

    return _NOTEBOOK_TEXT.sub(cell, _SCRIPT.sub("", text))


def on_post_page(text: str, page: Any, config: Any) -> None:
    """Warns of scripts, styles and pictures of another host."""
    for tag in _REMOTE.findall(text):
        _LOG.warning("%s: %s needs the network", page.file.src_uri, tag)
