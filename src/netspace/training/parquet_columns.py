"""Which column of a Parquet file holds images and which labels, by its types and by what `datasets` wrote of it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from netspace.errors import DataError, did_you_mean

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """The columns of images and of labels, and the names of the classes where the files hold them."""

    image: str
    label: str
    class_names: tuple[str, ...] = ()


def columns_of(name: str, schema: "pa.Schema", image: str | None, label: str | None) -> Columns:
    """Return the columns of a schema that hold images and labels. Raises: DataError where that is in doubt."""
    import pyarrow as pa

    features = _features(name, schema)
    kinds = {column: one.get("_type") for column, one in features.items() if isinstance(one, dict)}
    images = [field.name for field in schema if _holds_images(field.type)]
    labels = [field.name for field in schema if _holds_labels(field.type)]
    whole = [field.name for field in schema if pa.types.is_integer(field.type)]
    classes = [column for column in whole if kinds.get(column) == "ClassLabel"]
    chosen = _one(name, "label", label, labels, preferred=classes)
    names: tuple[str, ...] = ()
    if chosen in classes:
        given = features[chosen].get("names")
        if not isinstance(given, list) or len(set(map(str, given))) != len(given):
            raise DataError(f"{name}: the names of the classes of {chosen!r} (={given!r}) must be different texts")
        names = tuple(map(str, given))
    return Columns(image=_one(name, "image", image, images), label=chosen, class_names=names)


def _one(name: str, what: str, asked: str | None, able: list[str], preferred: Sequence[str] = ()) -> str:
    """Return the column that was asked for, or the only one that it can be. Raises: DataError."""
    listed = ", ".join(map(repr, able)) or "no column"
    if asked is not None:
        if asked not in able:
            raise DataError(f"{name}: {what}={asked} is no column of {what}s{did_you_mean(asked, able)}")
        return asked
    for some in (preferred, [column for column in able if column == what], able):
        if len(some) == 1:
            return some[0]
    raise DataError(
        f"{name}: {listed} can hold the {what}s"
        + (f"; name one of them at the end, as in ?{what}={able[0]}" if able else "")
    )


def _holds_images(kind: "pa.DataType") -> bool:
    import pyarrow as pa

    if pa.types.is_struct(kind):
        return kind.get_field_index("bytes") >= 0 and _holds_images(kind.field("bytes").type)
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _holds_labels(kind: "pa.DataType") -> bool:
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_integer(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _features(name: str, schema: "pa.Schema") -> dict[str, Any]:
    """Return what Hugging Face's `datasets` wrote of a file's columns; nothing where it wrote none."""
    written = (schema.metadata or {}).get(b"huggingface")
    if written is None:
        return {}
    try:
        features = json.loads(written)["info"]["features"]
    except (ValueError, KeyError, TypeError):
        features = None
    if not isinstance(features, dict):
        raise DataError(f"{name}: what Hugging Face wrote of the columns (metadata 'huggingface') is damaged")
    return features
