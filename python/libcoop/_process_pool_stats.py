"""What a process pool tells of itself."""

from __future__ import annotations

from typing import NamedTuple


class ProcessPoolStats(NamedTuple):
    """What a process pool did since it was made, and what it has now."""

    max_workers: int
    workers: tuple[int, ...]
    """The processes that there are now."""
    submitted: int
    """Calls that were accepted."""
    finished: int
    """Calls that are over, in whatever way."""
    queued: int
    """Calls that wait for a worker."""
    running: int
    died: int
    """Processes that have ended without having been asked to."""
