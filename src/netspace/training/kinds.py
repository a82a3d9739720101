"""Every kind of data set that a study may name, as one table: what follows its name, and what reads its images.

A name is `KIND`, or `KIND:PLACE`, or `KIND:PLACE?option=value&option=value`.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from netspace.errors import DataError, did_you_mean
from netspace.training.cifar import Cifar
from netspace.training.datasets import Digits, ImageSource
from netspace.training.encoded import Decoding
from netspace.training.fashion_mnist import FashionMnist
from netspace.training.hub import HubImages
from netspace.training.image_folder import ImageFolder
from netspace.training.npz import NpzFile
from netspace.training.parquet import ParquetImages


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a source is opened with: the `place` and `options` of its name, and where and how to read it.

    `folder` holds the files of a named data set; those that are missing may be fetched with `allow_download`.
    """

    place: str
    options: Mapping[str, str]
    folder: Path | None = None
    allow_download: bool = False
    decoding: Decoding = Decoding()

    @property
    def path(self) -> Path:
        """The place as a path."""
        return Path(self.place).expanduser()


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of data set: how its source is opened, what its name takes, and whether its images must be decoded.

    `takes` says in words what stands after the colon, and `form` is its regular expression.
    """

    open: Callable[[Asked], ImageSource]
    takes: str = ""
    form: str = ".+"
    options: tuple[str, ...] = ()
    decoded: bool = False


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "digits": Kind(open=lambda asked: Digits()),
        "fashion_mnist": Kind(
            open=lambda asked: FashionMnist(folder=asked.folder, allow_download=asked.allow_download)
        ),
        "cifar10": Kind(
            open=lambda asked: Cifar(name="cifar10", folder=asked.folder, allow_download=asked.allow_download)
        ),
        "cifar100": Kind(
            open=lambda asked: Cifar(name="cifar100", folder=asked.folder, allow_download=asked.allow_download)
        ),
        "folder": Kind(
            takes="PATH",
            decoded=True,
            open=lambda asked: ImageFolder(path=asked.path, decoding=asked.decoding),
        ),
        "npz": Kind(takes="PATH", open=lambda asked: NpzFile(path=asked.path)),
        "parquet": Kind(
            takes="PATH",
            options=("image", "label"),
            decoded=True,
            open=lambda asked: ParquetImages(
                path=asked.path,
                name=f"parquet:{asked.place}",
                image=asked.options.get("image"),
                label=asked.options.get("label"),
                decoding=asked.decoding,
            ),
        ),
        "hub": Kind(
            takes="OWNER/NAME",
            form=r"[\w.-]+(/(?!\.)[\w.-]+)+",
            options=("image", "label", "revision"),
            decoded=True,
            open=lambda asked: HubImages(
                repository=asked.place,
                image=asked.options.get("image"),
                label=asked.options.get("label"),
                revision=asked.options.get("revision"),
                allow_download=asked.allow_download,
                decoding=asked.decoding,
            ),
        ),
    }
)
"""All kinds, by the word that a name begins with."""

NAMES = tuple(f"{kind}:{KINDS[kind].takes}" if KINDS[kind].takes else kind for kind in KINDS)
"""How each kind is written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataName:
    """The name of a data set, taken apart."""

    kind: Kind
    place: str = ""
    options: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, name: str) -> "DataName":
        """Return a name's parts. Raises: DataError.

        >>> DataName.of("parquet:images.parquet?label=breed").options
        {'label': 'breed'}
        """
        word, colon, place = name.partition(":")
        kind = KINDS.get(word)
        if kind is None or (colon and not kind.takes):
            raise DataError(f"name (={name!r}) is no data set{did_you_mean(name, NAMES)}")
        options: dict[str, str] = {}
        if kind.options and "?" in place:
            place, _, query = place.rpartition("?")
            for given in query.split("&"):
                option, _, value = given.partition("=")
                if option not in kind.options:
                    raise DataError(f"name (={name!r}): {option!r} is no option{did_you_mean(option, kind.options)}")
                if not value or option in options:
                    raise DataError(f"name (={name!r}) must give {option!r} one value, as in ?{option}=VALUE")
                options[option] = value
        if kind.takes and not re.fullmatch(kind.form, place):
            article = "a path" if kind.takes == "PATH" else kind.takes
            raise DataError(f"name (={name!r}) must give {article}, as in '{word}:{kind.takes}'")
        return cls(kind=kind, place=place, options=options)
