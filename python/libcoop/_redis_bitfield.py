"""`bitfield`: several operations on the numbers that a string is made of, as one command."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from libcoop._redis_keys import Commands, Word
    from libcoop._redis_types import Answer


class BitFieldOperation:
    """Operations on a key's bits, in order; `execute` makes the call.

    A format is "u8", "i16" and so on; an offset is bits, or "#2": so many numbers of the format. `overflow` ("WRAP",
    "SAT", "FAIL") is that of the `incrby` and `set` after it.
    """

    def __init__(self, client: Commands[Any], key: Word, default_overflow: str | None = None) -> None:
        self.client = client
        self.key = key
        self._default_overflow = default_overflow
        self.operations: list[tuple[Word, ...]] = []
        self._last_overflow = "WRAP"
        self.reset()

    def reset(self) -> None:
        """Forgets its operations."""
        self.operations = []
        self._last_overflow = "WRAP"
        self.overflow(self._default_overflow or self._last_overflow)

    def overflow(self, overflow: str) -> Self:
        """What becomes of numbers that do not fit, from here on."""
        overflow = overflow.upper()
        if overflow != self._last_overflow:
            self._last_overflow = overflow
            self.operations.append(("OVERFLOW", overflow))
        return self

    def incrby(self, fmt: str, offset: int | str, increment: int, overflow: str | None = None) -> Self:
        """Adds to a number: the number after it, None if it does not fit and `overflow` is "FAIL"."""
        if overflow is not None:
            self.overflow(overflow)
        self.operations.append(("INCRBY", fmt, offset, increment))
        return self

    def get(self, fmt: str, offset: int | str) -> Self:
        """A number."""
        self.operations.append(("GET", fmt, offset))
        return self

    def set(self, fmt: str, offset: int | str, value: int) -> Self:
        """Sets a number: the one before."""
        self.operations.append(("SET", fmt, offset, value))
        return self

    @property
    def command(self) -> list[Word]:
        """The words so far."""
        return ["BITFIELD", self.key, *(word for operation in self.operations for word in operation)]

    def execute(self) -> Answer[list[int | None]]:
        """What each of them answers, but `overflow`: list. In a pipeline it is kept, and this is the pipeline."""
        command = self.command
        self.reset()
        return self.client.execute_command(*command)
