"""The command that shows a study's page while it runs."""

import signal
from typing import Annotated

import typer

from netspace.cli.options import StorePath
from netspace.cli.tables import console

app = typer.Typer()


@app.command(epilog="Example: netspace serve runs/fashion_mnist")
def serve(
    store: StorePath,
    port: Annotated[int, typer.Option(help="Port of 127.0.0.1 to listen on; 0 takes any free one.")] = 8765,
) -> None:
    """Show the page of a study on this machine, as it is now, and follow the study while it runs.

    The page is read-only and for this machine alone. Ctrl-C ends it.
    """
    # SciPy, SQLAlchemy and matplotlib, which the commands about networks do without
    from netspace.report.server import Press, address, serving
    from netspace.studies.study import Study

    study = Study.open(store)
    press = Press(lambda: study.findings(while_waiting=False), study.stamp)
    with serving(press, port) as server:
        console().print(f"the page of {study.spec.name!r} is at {address(server)} (Ctrl-C ends it)", soft_wrap=True)
        for number in (signal.SIGINT, signal.SIGTERM):  # also where whoever started this ignores them
            signal.signal(number, signal.default_int_handler)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            console().print("ended")
