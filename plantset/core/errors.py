"""What a user can mend: a problem in plain words, and what to do about it."""

from __future__ import annotations


class PlantsetError(Exception):
    """A mistake that the user can mend; the command prints both lines and exits 2.

    Args:
        problem: what is wrong, with the file, line, field or flag named.
        fix: what to do, a command where there is one.
    """

    def __init__(self, problem: str, fix: str) -> None:
        super().__init__(problem, fix)  # both, so that the error survives pickling between processes
        self.problem = problem
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.problem}\n{self.fix}"


class ConfigError(PlantsetError):
    """A flag, a recipe or a keyword is wrong or contradicts another."""


class DataError(PlantsetError):
    """A photo, a manifest, a table or a knowledge file is wrong."""


class CheckpointError(PlantsetError):
    """A checkpoint or a file of weights is missing, damaged or of another model."""


class DeviceError(PlantsetError):
    """The device that was asked for is not there or lacks what is needed."""
