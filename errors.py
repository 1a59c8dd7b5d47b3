"""What ends a run early, of which nothing went wrong here."""

from __future__ import annotations


class RefusalError(ValueError):
    """A sentence that tells a person what is wrong, and what would work. Any other error is logged, and is none of their concern."""


class CheckpointError(RefusalError):
    """A checkpoint cannot be had. The message says why and what would work."""


class Stopped(Exception):  # noqa: N818  # nobody erred
    """Whoever asked for something does not want it any more."""
