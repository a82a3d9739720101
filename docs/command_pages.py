"""A page for every command, written when the site is built from what `--help` prints, so that none goes stale.

The pages are made in `docs/commands/`, which git does not keep.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from sphinx.application import Sphinx

from netspace.cli.main import app as command_line

INDEX = """# Commands

Every command has `--help`, which says what its page says. Exit codes: 0 done, 1 failed or stopped, 2 wrong usage. An
error is one sentence on standard error; `netspace --debug COMMAND` shows where it came from.

| command | what it does |
|---|---|
{rows}

```{{toctree}}
:hidden:

{names}
```
"""


def setup(app: Sphinx) -> dict[str, bool]:
    """Write the pages before Sphinx looks for its sources."""
    write_pages(Path(app.srcdir) / "commands")
    return {"parallel_read_safe": True}


def write_pages(folder: Path) -> None:
    """Write a page per command and one that lists them; pages of commands that are no more are removed."""
    folder.mkdir(exist_ok=True)
    pages = {"-".join(name): (name, command, context) for name, command, context in commands()}
    texts = {page: page_of(name, command, context) for page, (name, command, context) in pages.items()}
    rows = [
        f"| [`netspace {' '.join(name)}`]({page}.md) | {brief(command)} |" for page, (name, command, _) in pages.items()
    ]
    texts["index"] = INDEX.format(rows="\n".join(rows), names="\n".join(pages))
    for page, text in texts.items():
        path = folder / f"{page}.md"
        if not path.is_file() or path.read_text(encoding="utf-8") != text:  # what stays the same is not read again
            path.write_text(text, encoding="utf-8")
    for path in folder.glob("*.md"):
        if path.stem not in texts:
            path.unlink()


def commands() -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    """Yield the words, the command and the context of everything that can be run."""
    group = typer.main.get_command(command_line)
    yield from _inside(group, typer.Context(group, info_name="netspace"), ())


def _inside(group: Any, context: Any, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    for name, command in group.commands.items():
        inner = typer.Context(command, info_name=name, parent=context)
        if hasattr(command, "commands"):
            yield from _inside(command, inner, (*words, name))
        else:
            yield (*words, name), command, inner


def brief(command: Any) -> str:
    """Return the first paragraph of a command's help, on one line."""
    return " ".join((command.help or "").split("\n\n")[0].split())


def page_of(words: tuple[str, ...], command: Any, context: Any) -> str:
    """Return the page of one command, in Markdown."""
    example = (command.epilog or "").removeprefix("Example: ").replace(", or: ", "\n")
    parts = [f"# {' '.join(words)}", command.help or "", f"```text\n{command.get_usage(context).strip()}\n```"]
    if example:
        parts += ["For example:", f"```sh\n{example}\n```"]
    for title, kind in (("Arguments", "argument"), ("Options", "option")):
        records = [
            record
            for parameter in command.get_params(context)
            if parameter.param_type_name == kind and (record := parameter.get_help_record(context))
        ]
        if records:
            parts += [f"## {title}", *(f"`{names}`\n: {' '.join(told.split())}" for names, told in records)]
    return "\n\n".join(parts) + "\n"
