"""The words hold: links lead somewhere, commands and studies that are shown parse, Python that is shown compiles."""

import ast
import doctest
import importlib.util
import json
import re
import shlex
import tomllib
from pathlib import Path

import numpy as np
import pytest
import typer

import netspace as ns
from netspace import values
from netspace.cli.main import UsageError, app
from netspace.errors import StudyFileError
from netspace.spaces.declaration import SpaceDeclaration
from netspace.studies.spec import parse_study, with_preset
from tests.tiny import STUDY

ROOT = Path(__file__).parent.parent
GENERATED = {"_build", "commands"}
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", ROOT / "benchmarks" / "README.md"] + [
    page for page in sorted((ROOT / "docs").rglob("*.md")) if not GENERATED & set(page.relative_to(ROOT / "docs").parts)
]
NOTEBOOKS = sorted((ROOT / "examples" / "notebooks").glob("*.ipynb"))

FENCE = re.compile(r"^( *)```([\w{}:-]*)[^\n]*\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`([^`]+)`")
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} +(.+)$", re.MULTILINE)

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
COMMANDS = typer.main.get_command(app)


def blocks(page, language):
    return [match[3] for match in FENCE.finditer(page.read_text()) if match[2] == language]


def prose(page):
    """Return a page without its code blocks."""
    return FENCE.sub("", page.read_text())


def anchors(page):
    """Return the names that a viewer of Markdown gives the headings of a page."""
    titles = [re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", title) for title in HEADING.findall(prose(page))]
    return {re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-") for title in titles}


@every_page
def test_links_lead_somewhere(page):
    for link in LINK.findall(CODE.sub("", prose(page))):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{link} leads to no file"
        assert not anchor or anchor in anchors(target), f"{link} leads to no heading"


def shown_commands(page):
    """Yield (words, whole) of each command that a page shows; in running text a command need not be whole."""
    for match in FENCE.finditer(page.read_text()):
        if match[2] not in ("", "sh", "text"):
            continue
        lines = iter(match[3].splitlines())
        for line in lines:
            while line.endswith("\\"):
                line = line[:-1] + next(lines).strip()
            line = line.strip().removeprefix("$ ")
            if line.startswith("netspace "):
                yield line, True
    for code in CODE.findall(prose(page)):
        line = " ".join(code.split())
        if line.startswith("netspace "):
            yield line, False


@every_page
def test_commands_are_those_of_the_command_line(page):
    for line, whole in shown_commands(page):
        words = [word.replace("...", "") for word in shlex.split(line, comments=True)[1:]]
        asks = {"--help", "--version", "--debug"} & set(words)  # these take the place of what is missing
        try:
            parse([word for word in words if word and word not in asks], whole and not asks)
        except UsageError as problem:
            pytest.fail(f"`{line}`: {problem.format_message()}")


def parse(words, whole):
    """Find the command and parse its words, as typing them would, without running it."""
    command, context = COMMANDS, typer.Context(COMMANDS, info_name="netspace")
    while hasattr(command, "commands") and words:
        if words[0].isupper():  # stands for any command
            return
        _, command, words = command.resolve_command(context, words)
        context = typer.Context(command, info_name=command.name, parent=context)
    if whole:
        command.make_context(command.name, list(words), parent=context.parent)
    else:
        known = {option for parameter in command.get_params(context) for option in parameter.opts}
        known |= {option for parameter in command.get_params(context) for option in parameter.secondary_opts}
        unknown = [word for word in words if word.startswith("-") and word.partition("=")[0] not in known]
        assert not unknown, f"{command.name} has no {unknown[0]}"


@pytest.mark.parametrize(
    "line", ["netspace sampel x", "netspace run", "netspace run a.toml --fast", "netspace store x"]
)
def test_a_wrong_command_would_be_seen(line):
    with pytest.raises(UsageError):
        parse(line.split()[1:], whole=True)


@every_page
def test_toml_is_of_a_study_or_a_space(page):
    for text in blocks(page, "toml"):
        shown = tomllib.loads(text)
        if "name" in shown and "spaces" not in shown:
            values.from_dict(SpaceDeclaration, shown, where=str(page))
        elif "name" in shown:
            parse_study(text)
        else:  # a part of a study: put into a whole one
            study = {**tomllib.loads(STUDY), "networks": 40, **shown}
            try:
                values.from_dict(type(parse_study(STUDY)), with_preset(study), where=str(page), error=StudyFileError)
            except StudyFileError as problem:
                pytest.fail(f"{problem}\n{text}")


def test_the_first_study_is_the_example():
    assert (ROOT / "examples" / "first.toml").read_text() in blocks(ROOT / "docs" / "start.md", "toml")


@every_page
def test_python_is_python(page):
    for text in blocks(page, "python"):
        if text.lstrip().startswith(">>>"):
            check_doctest(text, page)
        else:
            check_names(ast.parse(text, filename=str(page)))


def check_doctest(text, page):
    names = {"ns": ns, "np": np}
    test = doctest.DocTestParser().get_doctest(text, names, page.name, str(page), 0)
    report = []
    doctest.DocTestRunner(verbose=False).run(test, out=report.append)
    assert not report, "".join(report)


def check_names(tree):
    """Find every name of ours that a program takes, without importing a framework."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "ns":
            assert node.attr in {*ns.__all__, *ns._LAZY}, f"ns.{node.attr} is not public"
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("netspace."):
            found = importlib.util.find_spec(node.module)
            assert found is not None, f"there is no {node.module}"
            source = Path(found.origin).read_text()
            for name in node.names:
                assert re.search(rf"^(def |class |    \"|)({name.name})\b", source, re.MULTILINE), name.name


def test_the_block_that_is_shown_costs_what_it_says(tmp_path):
    file = tmp_path / "block.py"
    file.write_text(blocks(ROOT / "docs" / "own-block.md", "python")[0])
    block = ns.OwnBlock.of(file, expansion=2)
    stages = (ns.Stage(depth=2, width=8), ns.Stage(depth=1, width=12))
    ns.build(ns.NetworkSpec(block="own", own_block=block, stages=stages, num_classes=3))  # refuses a wrong cost


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_hold_no_outputs(path):
    cells = json.loads(path.read_text())["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert code, "no cell that runs"
    for cell in code:
        assert not cell["outputs"]
        assert cell["execution_count"] is None
        lines = "".join(cell["source"]).splitlines(keepends=True)
        check_names(ast.parse("".join(line for line in lines if not line.startswith("%"))))


def test_every_public_name_has_its_place_in_the_reference():
    text = (ROOT / "docs" / "api.md").read_text()
    shown = set(re.findall(r"auto(?:function|class):: ([\w.]+)", text))
    assert {*ns.__all__, *ns._LAZY} <= shown


def test_every_page_is_in_the_table_of_contents():
    docs = ROOT / "docs"
    named = set()
    for page in (docs / "index.md", docs / "decisions" / "index.md"):
        for text in blocks(page, "{toctree}"):
            for line in filter(None, (line.strip() for line in text.splitlines())):
                line = line.rpartition("<")[2].rstrip(">")
                if not line.startswith(":"):
                    named |= {found.relative_to(docs) for found in page.parent.glob(f"{line}.md")}
    assert {page.relative_to(docs) for page in PAGES if docs in page.parents} - named == {Path("index.md")}
