"""What `EventLoop.child` answers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ExitStatus:
    """How a child ended."""

    pid: int
    """Its process id; from now on the system may give it to another process."""
    code: int | None
    """What it gave to `exit`; None if a signal ended it."""
    signal: int | None
    """The signal that ended it."""
    core_dumped: bool
    """Whether it left a core dump."""

    @property
    def returncode(self) -> int:
        """As `subprocess` has it: the code, or the signal's number below 0."""
        return -self.signal if self.signal is not None else self.code or 0
