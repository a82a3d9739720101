"""A store written for other tools: as a table, as a storage of Optuna, as a log folder of TensorBoard."""

import json
import tomllib
from pathlib import Path
from typing import Any

from netspace import __version__
from netspace.errors import InputError, StoreError, did_you_mean
from netspace.privacy import discreet
from netspace.storage.address import place_of
from netspace.storage.place import Place
from netspace.storage.rows import CURVE, is_store_table, populations_of, store_columns, trials_of
from netspace.storage.store import Entry, Store
from netspace.storage.table_files import read_columns, write_csv, write_parquet, write_whole

FORMATS = ("csv", "parquet", "json", "optuna", "tensorboard")
"""What a store is written for; the last two need the extra of the same name."""

_ABOUT = "store"
"""The field of JSON and Parquet that holds what a store is besides its rows."""


def export_store(where: str | Path | Place, output: Path, *, to: str, overwrite: bool = False) -> int:
    """Write a store for another tool and return how many networks it holds.

    Raises: InputError for an unknown format, an output that exists (unless `overwrite`) or cannot be written;
    StoreError; ModuleNotFoundError of a tool that is not installed.
    """
    if to not in FORMATS:
        raise InputError(f"--to (={to!r}) is no format of `netspace store export`{did_you_mean(to, FORMATS)}")
    if not output.parent.is_dir():
        raise InputError(f"--output (={str(output)!r}): the folder {str(output.parent)!r} does not exist")
    if output.exists() and not overwrite:
        raise InputError(f"--output (={str(output)!r}) exists; give another path, or --overwrite to replace it")
    if output.is_dir() and to != "tensorboard":
        raise InputError(f"--output (={str(output)!r}) is a folder; nearest: {str(output / ('networks.' + to))!r}")
    with Store.open(where) as store:
        columns = _discreet(store_columns(store))
        about = _about(store)
    if to == "csv":
        write_csv({name: list(map(_as_text, column)) for name, column in columns.items()}, output)
    elif to == "parquet":
        texts = {name: list(map(_as_text, columns[name])) for name in ("versions", "spec")}
        told = {name: value if isinstance(value, str) else json.dumps(value) for name, value in about.items()}
        write_parquet(columns | texts, output, types=_types(), metadata=told)
    elif to == "json":
        rows = [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]
        write_whole(json.dumps(about | {"networks": rows}, indent=1, allow_nan=False).encode(), output)
    elif to == "optuna":
        from netspace.storage.optuna_file import write_optuna

        write_optuna(columns, about, output)
    else:
        from netspace.storage.tensorboard_folder import write_tensorboard

        write_tensorboard(columns, output)
    return len(columns["space"])


def import_store(file: Path, output: str | Path | Place) -> int:
    """Make the store of a JSON or Parquet export, and return how many networks it holds.

    Results are those of the file, to the last bit. Attempts that gave no result are not in it, and every attempt
    says that it was imported, here and now.
    Raises: InputError for a file that is no such export, StoreError where a store stands.
    """
    columns, besides = read_columns(file)
    if not is_store_table(columns):
        raise InputError(
            f"file {str(file)!r} does not hold a store: its rows have no spec or no trial; "
            "`netspace compare` and `netspace ranges` take the file itself"
        )
    if _ABOUT not in besides:
        raise InputError(
            f"file {str(file)!r} does not say of which study it is, as CSV cannot; import the JSON or Parquet export "
            "(`netspace compare` and `netspace ranges` take the file itself)"
        )
    place = place_of(output)
    if place.exists():
        raise StoreError(f"store {place.name!r} exists; give {place.elsewhere}")
    try:
        about = besides[_ABOUT] if isinstance(besides[_ABOUT], dict) else json.loads(besides[_ABOUT])
        samples = {sample["space"]: sample for sample in about["samples"]}
        populations = populations_of(columns, samples=samples)
        study, text, facts = (about[name] for name in ("study", "text", "facts"))
    except InputError as problem:
        raise InputError(f"file {str(file)!r}: {problem}") from None
    except (KeyError, TypeError, ValueError) as problem:
        raise InputError(f"file {str(file)!r}: what it says of its study is damaged ({problem})") from None
    trials = trials_of(columns)
    versions = dict(zip(columns["trial"], columns["versions"], strict=True))
    with Store.create(place, study=study, text=text, facts=facts) as store:
        for population in populations:
            store.add_population(
                population, definition=samples[population.name]["definition"], trials=trials[population.name]
            )
        results = {r.trial_id: r for population in populations for r in population.results if r is not None}
        entries = []
        for trial, result in results.items():
            used = versions[trial]
            entries.append(
                Entry(
                    result=result,
                    versions=(json.loads(used) if isinstance(used, str) else used) or {},
                    detail=result.reason or f"imported from {file.name}",
                )
            )
        store.record(*entries)
    return len(columns["space"])


def _about(store: Store) -> dict[str, Any]:
    """Return what a store is besides its rows: in a few words for people, and all of it for `import_store`."""
    origins = store.origins()
    samples = [
        {
            "space": population.name,
            "num_draws": population.num_draws,
            "num_in_band": population.num_in_band,
            "definition": origins[population.name][0],
        }
        for population in store.populations()
    ]
    return {
        "netspace_version": __version__,
        "study_name": str(tomllib.loads(store.text).get("name", "")),
        "metric": store.metric,
        "data_fingerprint": str(store.study.get("data_fingerprint", "")),
        _ABOUT: {"study": store.study, "text": store.text, "facts": store.facts, "samples": samples},
    }


def _discreet(columns: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Return rows as they may leave this machine: reasons and files of own blocks without anybody's home or secrets."""
    for spec in columns["spec"]:
        if spec.get("own_block"):
            spec["own_block"]["file"] = discreet(spec["own_block"]["file"])
    return columns | {"reason": [reason and discreet(reason) for reason in columns["reason"]]}


def _as_text(cell: Any) -> Any:
    return json.dumps(cell, allow_nan=False) if isinstance(cell, dict | list) else cell


def _types() -> dict[str, Any]:
    """Return the types of columns that may hold nothing but nulls."""
    import pyarrow

    names = {"error": "float64", "seconds": "float64", "images": "int64", "reason": "string", "versions": "string"}
    flat = {name: pyarrow.type_for_alias(kind) for name, kind in names.items()}
    lists = {f"curve_{name}": pyarrow.list_(pyarrow.type_for_alias(kind)) for name, kind in CURVE.items()}
    return flat | lists
