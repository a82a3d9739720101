"""What stands beside a network's weights where it is known: how it came to be, and what it takes to use it.

No framework is needed to read them.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

from netspace import values
from netspace.errors import CheckpointError
from netspace.training.data import Dataset
from netspace.training.recipe import TrainingRecipe
from netspace.training.trial import TrialResult

RECIPE_FILE = "recipe.json"
RESULT_FILE = "result.json"
IMAGES_FILE = "images.json"

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFormat:
    """What a network takes and what it says: squares of `resolution` [pixels], and a logit for each class, by name.

    It takes (pixels - mean) / std, with pixels in [0, 1] and one number of `mean` and `std` per channel.
    """

    resolution: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    class_names: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.mean) != len(self.std) or not all(deviation > 0 for deviation in self.std):
            raise CheckpointError(f"std (={list(self.std)}) must be above 0, one for each number of mean")

    @classmethod
    def of(cls, data: Dataset) -> Self:
        """Return what a network that was trained on these images takes."""
        return cls(resolution=data.resolution, mean=data.mean, std=data.std, class_names=data.class_names)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """How a saved network was trained, what came of it, on what images; None for what was not saved with it."""

    recipe: TrainingRecipe | None = None
    result: TrialResult | None = None
    images: ImageFormat | None = None


def load_record(folder: str | Path) -> Record:
    """Return the recipe, the result and the format of the images that were written beside a network.

    Raises: CheckpointError where the folder does not exist or a file in it is damaged.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise CheckpointError(f"folder {str(folder)!r} does not exist")
    return Record(
        recipe=_if_saved(TrainingRecipe, folder / RECIPE_FILE),
        result=_if_saved(TrialResult, folder / RESULT_FILE),
        images=_if_saved(ImageFormat, folder / IMAGES_FILE),
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
