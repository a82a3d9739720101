"""A data set of the Hugging Face Hub: its Parquet files, fetched where that is asked for, else as last fetched.

No code of a repository is ever run, and nothing but Parquet files is fetched. They lie in the Hub's own cache.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from netspace.errors import DataError, MissingFrameworkError
from netspace.training.encoded import Decoding
from netspace.training.parquet import ParquetImages
from netspace.training.splits import SourceImages

CONVERTED = "refs/convert/parquet"
"""The revision at which the Hub keeps, as Parquet, what a repository holds in other files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HubImages:
    """The images of a repository OWNER/NAME, or of its folder OWNER/NAME/FOLDER, at a `revision`.

    `cache` and `endpoint` [address] None are those of the library `huggingface_hub`.
    """

    repository: str
    image: str | None = None
    label: str | None = None
    revision: str | None = None
    allow_download: bool = False
    decoding: Decoding = Decoding()
    cache: Path | None = None
    endpoint: str | None = None
    validation_share: float = 1 / 6

    def files(self) -> tuple[Path, ...]:
        """Return the Parquet files, fetched first where that is allowed.

        Raises: DataError where they are not there, or cannot be fetched; MissingFrameworkError.
        """
        return self._fetched().files()

    def read(self, resolution: int | None) -> SourceImages:
        """Return the images as squares of `resolution` pixels a side. Raises: as `files` and `ParquetImages.read`."""
        return self._fetched().read(resolution)

    @property
    def _name(self) -> str:
        return f"hub:{self.repository}"

    def _fetched(self) -> ParquetImages:
        owner, name, *folders = self.repository.split("/")
        path = self._snapshot(f"{owner}/{name}", folders).joinpath(*folders)
        if not any(path.rglob("*.parquet")):
            if not self.allow_download:
                raise self._not_here()
            other = f"; the Hub may have made some: add ?revision={CONVERTED}" if self.revision is None else ""
            raise DataError(f"{self._name}: the repository has no Parquet file here{other}")
        return ParquetImages(path=path, name=self._name, image=self.image, label=self.label, decoding=self.decoding)

    def _not_here(self) -> DataError:
        at = "" if self.revision is None else f" at revision {self.revision!r}"
        return DataError(f"{self._name}: no Parquet files of it{at} are in the Hub's cache; fetch them with --download")

    def _snapshot(self, repository: str, folders: Sequence[str]) -> Path:
        """Return the folder of a repository in the cache, its Parquet files fetched first where that is allowed."""
        try:
            import huggingface_hub
            from huggingface_hub import errors
        except ModuleNotFoundError as problem:
            raise MissingFrameworkError(
                f"{self._name} needs the package {problem.name!r}; install it with: pip install 'netspace[hub]'"
            ) from None
        try:
            return Path(
                huggingface_hub.snapshot_download(
                    repository,
                    repo_type="dataset",
                    revision=self.revision,
                    allow_patterns=["/".join((*folders, "*.parquet"))],
                    cache_dir=self.cache,
                    endpoint=self.endpoint,
                    local_files_only=not self.allow_download,
                )
            )
        except errors.HFValidationError as problem:
            raise DataError(f"{self._name}: {_one_line(problem)}") from None
        except errors.RevisionNotFoundError:
            raise DataError(f"{self._name}: the repository has no revision {self.revision or 'main'!r}") from None
        except errors.RepositoryNotFoundError:
            raise DataError(
                f"{self._name}: the Hub shows no such data set; check its name, or log in where it is private"
            ) from None
        except (errors.LocalEntryNotFoundError, errors.HfHubHTTPError, OSError) as problem:
            if not self.allow_download:
                raise self._not_here() from None
            raise DataError(f"{self._name}: cannot be fetched from the Hub ({_one_line(problem)})") from None


def _one_line(problem: Exception) -> str:
    """Return the first sentence of a library's message, which may go on for a page."""
    return str(problem).strip().splitlines()[0] if str(problem).strip() else type(problem).__name__
