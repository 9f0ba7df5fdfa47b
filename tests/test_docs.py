"""What the documents name exists: links, files, programs, flags, targets, numbers; their Python blocks run."""

import functools
import importlib.util
import re
import types
from xml.etree import ElementTree

import pytest

import tfnas
from reproductions.registry import PAPERS
from tests import fork
from tests.documents import PAGES, TABLES, blocks, commands, name_of, run_block, write_files_of_a_user
from tests.fork import ROOT

# Flags of other programs: TensorFlow Serving, Apache Beam.
FOREIGN = {"enable_batching", "batching_parameters_file", "runner"}
# The client of a server; tests/serving/test_server.py runs it against one.
NEEDS_SERVER = "http://localhost"
PYTHON = [(page, text) for page in PAGES for text in blocks(page, "python") if NEEDS_SERVER not in text]


@functools.cache
def flags_of(program: str, kind: str) -> set[str]:
    """Names of the flags in a program's help; the kind is the word that decides on more flags, or empty."""
    done = fork.run(program, *filter(None, [kind, "--help"]))
    return set(re.findall(r"^ {2}--(?:\[no\])?(\w+)", done.stdout, re.MULTILINE))


@functools.cache
def extension() -> types.ModuleType:
    """The module that turns formulas into MathML while the site is built."""
    specification = importlib.util.spec_from_file_location("pages", ROOT / "docs" / "extensions" / "pages.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("user")
    write_files_of_a_user(path)
    return path


@pytest.mark.parametrize(("page", "text"), PYTHON, ids=[name_of(page) for page, _ in PYTHON])
def test_python(page, text, folder):
    done = fork.call(run_block, text, folder)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "print(" not in text or done.stdout


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_to_files(page):
    text = re.sub(r"^```.*?^```$|`[^`]+`", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    links = re.findall(r"\]\((?!\w+:|#)([^)#\s]+)", text)
    missing = [link for link in links if not (page.parent / link).exists()]
    assert not missing
    assert all(alt for alt in re.findall(r"!\[(.*?)\]", text)), "a picture without words"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_files_exist(page):
    named = re.findall(r"`((?:tests|examples|tfnas|perf|reproductions|trainers|docs)/[\w./]+)`", page.read_text())
    named += re.findall(r"python (examples/\w+\.py)", page.read_text())
    named += [f"perf/{name}.py" for name in re.findall(r"python -m perf\.(\w+)", page.read_text()) if name != "faults"]
    placeholders = re.compile(r"/x\b|PAPER")
    assert not [name for name in named if not placeholders.search(name) and not (ROOT / name).exists()]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_programs_have_the_flags(page):
    for program, flags in commands(page):
        kind = next((flag for flag in flags if program == "pretrain" and flag.startswith("--encoder=")), "")
        known = flags_of(program, "" if "KIND" in kind else kind)
        assert known, f"{program} is no program"
        assert {re.match(r"--(\w+)", flag)[1] for flag in flags} <= known | {"help"}, program
        for experiments in (flag.partition("=")[2].split(",") for flag in flags if flag.startswith("--experiment=")):
            assert set(experiments) <= set(PAPERS[program.split()[1]].experiments)


def test_flags_in_sentences_exist():
    sources = [*ROOT.glob("trainers/*.py"), *ROOT.glob("tfnas/**/*.py"), *ROOT.glob("reproductions/**/*.py")]
    text = "\n".join(path.read_text() for path in sources)
    known = set(re.findall(r'(?:flags\.DEFINE_\w+|define_paths?)\(\s*"(\w+)"', text)) | set(
        re.findall(r"^ {4}(\w+): \w", text, re.MULTILINE)
    )
    for page in PAGES:
        assert set(re.findall(r"`--(\w+)", page.read_text())) <= known | FOREIGN | {"help"}, page


def test_targets_of_make_exist():
    makefile = (ROOT / "Makefile").read_text()
    for page in PAGES:
        for words in re.findall(r"^make (.*)$|`make\s([^`]+)`", page.read_text(), re.MULTILINE):
            for target in "".join(words).split():
                assert "=" in target or re.search(rf"^{re.escape(target)}:", makefile, re.MULTILINE), (page, target)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_sentences_describe_the_software(page):
    """No diary of its making, and no sentence that leans on the one before."""
    text = re.sub(r"^```.*?^```$|`[^`]+`|[\w.]+_\w+", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    assert not re.findall(r"\b(?:we|our|ours|us|today|tried|likewise|at hand)\b", text, re.IGNORECASE)


def test_every_table_is_shown():
    shown = {name for page in PAGES for name in re.findall(r'--8<-- "(\w+/\w+\.md)', page.read_text())}
    assert shown == {str(path.relative_to(TABLES)) for path in TABLES.rglob("*.md")}


@pytest.mark.parametrize("paper", PAPERS)
def test_tables_belong_to_experiments(paper):
    for path in (TABLES / paper).iterdir():
        assert {path.stem, path.stem.split("_")[0]} & set(PAPERS[paper].experiments)
        assert re.match(r"# .+\n\n\|", path.read_text())


@pytest.mark.parametrize("paper", PAPERS)
def test_numbers_in_sentences_are_in_the_tables(paper):
    page = (ROOT / "docs" / "results" / f"{paper}.md").read_text()
    tables = "".join(path.read_text() for path in (TABLES / paper).iterdir())
    # Sentences on published numbers, which no table of ours has, begin with the authors.
    paragraphs = [text for text in page.split("\n\n") if not text.startswith(("|", "```", "Pei et al. report"))]
    numbers = set(re.findall(r"(?<![\w.])0\.\d{3}(?!\d)", "\n".join(paragraphs)))
    assert not {number for number in numbers if number not in tables}


def test_numbers_of_the_readme_are_in_the_tables():
    rows = re.findall(
        r"^\| (.*) \| \[\w+\]\((docs/results/tables/.*?)\) \|$", (ROOT / "README.md").read_text(), re.MULTILINE
    )
    assert len(rows) == 5
    for text, table in rows:
        numbers = re.findall(r"(?<![-\w])\d+(?:\.\d+)?", text)
        assert numbers
        assert not [number for number in numbers if number not in (ROOT / table).read_text()], text


def test_the_check_of_the_installation(capfd):
    (program,) = re.findall(r'^\.venv/bin/python -c "(.*)"$', (ROOT / "README.md").read_text(), re.MULTILINE)
    exec(program)
    assert capfd.readouterr().out == "(5, 16)\n"


def test_the_citation_has_the_version():
    assert f"\nversion: {tfnas.__version__}\n" in (ROOT / "CITATION.cff").read_text()


@pytest.mark.parametrize(
    ("latex", "text", "spaces"),
    [
        (r"\tilde{A} = A + A^\top", "A~=A+A\u22a4", 0),
        (r"\mathcal L &lt; 2\log x", "\u2112<2logx", 2),
        (r"\begin{aligned} a &amp;= b \\ c &amp;= d \end{aligned}", "a=bc=d", 0),
    ],
)
def test_formulas_become_mathml(latex, text, spaces, caplog):
    tree = ElementTree.fromstring(extension().mathml(latex, display=True))
    assert "".join(tree.itertext()).replace(" ", "") == text
    assert len(tree.findall(".//{*}mspace")) == spaces
    assert not caplog.records


def test_a_formula_without_mathml_is_a_warning(caplog):
    extension().mathml(r"\nosuch x", display=False)
    assert r"no MathML for the formula \nosuch x" in caplog.text
