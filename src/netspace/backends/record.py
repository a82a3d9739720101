"""What stands beside a network's weights where it is known: `recipe.json` and `result.json`, how it came to be.

No framework is needed to read them.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from netspace import values
from netspace.errors import CheckpointError
from netspace.training.recipe import TrainingRecipe
from netspace.training.trial import TrialResult

RECIPE_FILE = "recipe.json"
RESULT_FILE = "result.json"

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """How a saved network was trained and what came of it; None for what was not saved with it."""

    recipe: TrainingRecipe | None = None
    result: TrialResult | None = None


def load_record(folder: str | Path) -> Record:
    """Return the recipe and the result that `save` wrote beside a network.

    Raises: CheckpointError where the folder does not exist or a file in it is damaged.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise CheckpointError(f"folder {str(folder)!r} does not exist")
    return Record(
        recipe=_if_saved(TrainingRecipe, folder / RECIPE_FILE),
        result=_if_saved(TrialResult, folder / RESULT_FILE),
    )


def as_json(value: Any) -> bytes:
    """Return a value as the content of a JSON file."""
    return (json.dumps(values.to_dict(value), indent=2) + "\n").encode()


def read_json(path: Path) -> Any:
    """Return the plain data of a JSON file. Raises: CheckpointError."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise CheckpointError(f"{path}: cannot be read ({problem.strerror})") from None
    except (ValueError, RecursionError) as problem:
        raise CheckpointError(f"{path}: not valid JSON ({problem})") from None


def _if_saved(cls: type[T], path: Path) -> T | None:
    return values.from_dict(cls, read_json(path), where=str(path), error=CheckpointError) if path.exists() else None
