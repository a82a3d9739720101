"""Commands about stores as files: out of netspace for other tools, and back."""

from pathlib import Path
from typing import Annotated

import typer

from netspace.backends import needed_by
from netspace.cli.options import StorePath, Where, where
from netspace.cli.tables import console

app = typer.Typer(no_args_is_help=True, help="Exchange a store with other tools.")


@app.command(epilog="Example: netspace store export runs/digits --to parquet --output digits.parquet")
def export(
    store: StorePath,
    to: Annotated[str, typer.Option(help="csv, parquet, json, optuna or tensorboard.")],
    output: Annotated[Path, typer.Option(help="The file to write; for TensorBoard the folder.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")] = False,
) -> None:
    """Write a store for another tool: a row, a trial or a run for every network.

    CSV, Parquet and JSON hold a row per network with its spec, complexity, parameters, error and learning curve;
    Optuna's dashboard and TensorBoard open the other two. A failed network has its status and reason, and no error.
    """
    from netspace.findings.words import count
    from netspace.storage.export import export_store  # SQLAlchemy, which the commands about networks do without

    with needed_by(f"--to {to}", extra=to):
        networks = export_store(store, output, to=to, overwrite=overwrite)
    console().print(f"{output}: {count(networks, 'network')}", soft_wrap=True)


@app.command(epilog="Example: netspace store merge runs/digits elsewhere/study.db")
def merge(
    store: StorePath,
    others: Annotated[
        list[Where], typer.Argument(help="Stores of the same study, which are left as they are.", parser=where)
    ],
) -> None:
    """Add to a store what others of its study hold: networks, results and attempts that it lacks.

    A result that the store has already stands; another one of the same trial is kept as an attempt. Twice is harmless.
    """
    from netspace.findings.words import count
    from netspace.studies.merging import merge_stores

    results = merge_stores(store, others)
    console().print(f"{store}: {count(results, 'result')}", soft_wrap=True)


@app.command("import", epilog="Example: netspace store import digits.parquet --output runs/again")
def import_(
    file: Annotated[Path, typer.Argument(help="A JSON or Parquet file of `netspace store export`.")],
    output: Annotated[Where, typer.Option(help="Folder of the new store, or a postgresql:// URL.", parser=where)],
) -> None:
    """Make the store of a JSON or Parquet export again: the same networks with the same results.

    Rows of anyone else have no specs: `netspace compare`, `ranges` and `importance` take such a file itself.
    """
    from netspace.findings.words import count
    from netspace.storage.export import import_store
    from netspace.storage.sqlite import STORE_NAME

    place = output / STORE_NAME if isinstance(output, Path) else output
    networks = import_store(file, place)
    console().print(f"{place}: {count(networks, 'network')}", soft_wrap=True)
