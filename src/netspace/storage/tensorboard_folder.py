"""A store as a log folder of TensorBoard: a run per network with its learning curve, and all of them as HParams.

A run is a folder with one file, written record by record: no thread and no framework are needed for what is known
already. Times count from the start of each network's training, so that TensorBoard's "relative" axis is right and
two exports of a store are equal.
"""

import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2
from tensorboard.plugins.hparams import summary_v2 as hparams
from tensorboard.summary.writer.record_writer import RecordWriter

from netspace.errors import InputError
from netspace.files import aside_of
from netspace.networks.complexity import MEASURES
from netspace.storage.rows import WAITING, drawn_names

FILE = "events.out.tfevents.0.netspace"
_LONGEST = 60
ERROR = "error"
"""The tag of the error that is judged; the HParams tab shows parameters against it. A failed network has none."""


def write_tensorboard(columns: Mapping[str, list[Any]], folder: Path) -> None:
    """Write a store's columns as a log folder, made aside; networks that wait have no run.

    Raises: InputError where the folder cannot be written, or holds anything but event files.
    """
    if folder.exists():
        _check_replaceable(folder)
    aside = aside_of(folder)
    try:
        for run, events in _runs(columns):
            (aside / run).mkdir(parents=True, exist_ok=True)
            with open(aside / run / FILE, "wb") as file:
                writer = RecordWriter(file)
                for event in (Event(file_version="brain.Event:2"), *events):
                    writer.write(event.SerializeToString())
        if folder.exists():
            shutil.rmtree(folder)
        aside.rename(folder)
    except OSError as problem:
        raise InputError(f"{str(folder)!r} cannot be written: {(problem.strerror or str(problem)).lower()}") from None
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _runs(columns: Mapping[str, list[Any]]) -> Iterator[tuple[str, list[Event]]]:
    """Yield the folder and the events of every run: first what all of them share, then the networks."""
    names = [*drawn_names(columns), *MEASURES]
    spaces = list(dict.fromkeys(columns["space"]))
    domains = [hparams.HParam("space", hparams.Discrete(spaces))]
    for name in names:
        known = [float(value) for value in columns[name] if value is not None]
        if known:
            domains.append(hparams.HParam(name, hparams.RealInterval(min(known), max(known))))
    yield ".", [Event(summary=hparams.hparams_config_pb(domains, [hparams.Metric(ERROR)], time_created_secs=0.0))]
    folders = _folders(spaces)
    for cells in zip(*columns.values(), strict=True):
        row = dict(zip(columns, cells, strict=True))
        if row["status"] != WAITING:
            run = f"{folders[row['space']]}/{row['position']:04d}-{row['digest'][:8]}"
            drawn = {name: row[name] for name in names if row[name] is not None}
            yield run, _events(row, {"space": row["space"]} | drawn, run)


def _events(row: Mapping[str, Any], known: dict[str, Any], run: str) -> list[Event]:
    """Return the events of one network: its parameters, its curve, how it ended."""
    events = [Event(summary=hparams.hparams_pb(known, trial_id=run, start_time_secs=0.0))]
    time = 0.0
    curve = (row[f"curve_{name}"] for name in ("epoch", "training_loss", "validation_error", "seconds"))
    for epoch, loss, error, seconds in zip(*curve, strict=True):
        time += seconds or 0.0
        told = {"training_loss": loss, "validation_error": error}
        values = [Summary.Value(tag=tag, simple_value=value) for tag, value in told.items() if value is not None]
        events.append(Event(step=epoch, wall_time=time, summary=Summary(value=values)))
    last = row["curve_epoch"][-1] if row["curve_epoch"] else 0
    if row["error"] is not None:
        value = Summary.Value(tag=ERROR, simple_value=row["error"])
        events.append(Event(step=last, wall_time=row["seconds"], summary=Summary(value=[value])))
    status = api_pb2.STATUS_SUCCESS if row["error"] is not None else api_pb2.STATUS_FAILURE
    ended = plugin_data_pb2.SessionEndInfo(status=status, end_time_secs=row["seconds"])
    about = metadata.create_summary_metadata(plugin_data_pb2.HParamsPluginData(session_end_info=ended))
    end = Summary.Value(tag=metadata.SESSION_END_INFO_TAG, metadata=about, tensor=metadata.NULL_TENSOR)
    return [*events, Event(step=last, wall_time=row["seconds"], summary=Summary(value=[end]))]


def _folders(spaces: list[str]) -> dict[str, str]:
    """Return a folder per space: its name, as far as it may stand in a path, and no longer than paths take."""
    folders: dict[str, str] = {}
    for space in spaces:
        plain = re.sub(r"[^\w-]", "_", space)[:_LONGEST]
        folders[space] = plain if plain not in folders.values() else f"{plain}_{len(folders)}"
    return folders


def _check_replaceable(folder: Path) -> None:
    others = [path for path in folder.rglob("*") if not path.is_dir() and "tfevents" not in path.name]
    if not folder.is_dir() or others:
        held = f"holds {others[0].name!r}" if others else "is a file"
        raise InputError(f"--output (={str(folder)!r}) {held}: only a folder of event files is replaced")
