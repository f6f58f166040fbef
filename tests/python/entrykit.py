"""Entries of services, and arguments that cannot be given to them: in a module that other processes can import."""

from __future__ import annotations

from typing import Any


class Web:
    def __init__(self, port: int) -> None:
        self.port = port

    def run(self, ctx: Any) -> None: ...

    @classmethod
    def make(cls, port: int) -> Web:
        return cls(port)

    class Inner:
        def run(self, ctx: Any) -> None: ...


def tick(ctx: Any, every: float = 1.0) -> None: ...


class Reluctant:
    """Refuses to be pickled, in its own words."""

    def __reduce__(self) -> str:
        raise OSError("not today")


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise ValueError("no words")


class Speechless:
    def __reduce__(self) -> str:
        raise Unspeakable

    def __repr__(self) -> str:
        raise Unspeakable
