"""What comes of a run of a graph: results, exceptions, and what each node took."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, final

from libcoop import _libcoop


@final
class Skip:
    """What `libcoop.SKIP` is, and nothing else."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "libcoop.SKIP"

    def __reduce__(self) -> str:
        return "SKIP"


SKIP: Final = Skip()
"""Returned by a node: it is skipped, and so is what depends on it. A node with `even_if_skipped` is given it for the
result of one that was."""


class NodeState(enum.IntEnum):
    """What became of a node."""

    CANCELLED = 0
    """It has no result: the run ended before it did, or what it depends on failed."""
    RUNNING = 1
    """It runs in the pool, although its run has ended; its result will be dropped. Or it waits on the loop, which is
    about to cancel it."""
    DONE = 2
    """It has a result."""
    SKIPPED = 3
    """It was skipped."""
    FAILED = 4
    """It has raised, or its deadline has passed."""


class Spread(NamedTuple):
    """The least, the mean and the greatest of some times, in seconds."""

    min: float
    mean: float
    max: float


@dataclass(frozen=True, slots=True)
class NodeStats:
    """What a node took in the traced runs of its graph."""

    name: str
    count: int
    """How often it ran to its end."""
    failures: int
    """How often it failed."""
    waited: Spread
    """From being ready to its beginning."""
    ran: Spread
    """From its beginning to its end, with all attempts."""


class DagOutcome:
    """How a run ended, and what it has made: `outcome["name"]` is a node's result."""

    __slots__ = ("__weakref__", "_handle", "error", "errors", "results")

    def __init__(
        self,
        handle: _libcoop.RunHandle,
        results: dict[str, Any],
        errors: dict[str, BaseException],
        error: BaseException | None,
    ) -> None:
        self._handle = handle
        self.results = results
        """The results of nodes that no other node reads, and of those with `keep`, by name."""
        self.errors = errors
        """What nodes have raised, by name."""
        self.error = error
        """What the run ended with: the first of `errors`, Timeout, Cancelled or Closed; None if it ended well."""

    def __getitem__(self, name: str) -> Any:
        """A node's result. Raises the node's exception if it failed, KeyError if it has no result here."""
        if name in self.results:
            return self.results[name]
        if name in self.errors:
            raise self.errors[name]
        state = self.state(name)
        if state == NodeState.DONE:
            raise KeyError(f"node {name!r}: its result is not kept (keep=True), for other nodes read it")
        raise KeyError(f"node {name!r} has no result: it is {state.name}")

    def state(self, name: str) -> NodeState:
        """What became of a node. Raises Invalid for a name that no node has."""
        return NodeState(self._handle.state(name))

    def __repr__(self) -> str:
        how = "well" if self.error is None else f"with {type(self.error).__name__}"
        return f"<libcoop.DagOutcome, ended {how}: {len(self.results)} results, {len(self.errors)} errors>"
