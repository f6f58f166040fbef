"""What streams raise beside the errors of libcoop."""

from __future__ import annotations


class IncompleteRead(EOFError):
    """The peer ended before all that `Stream.read_exactly` wanted had come: `partial` has what did."""

    def __init__(self, partial: bytes, expected: int) -> None:
        super().__init__(partial, expected)
        self.partial = partial
        self.expected = expected

    def __str__(self) -> str:
        return f"the stream ended after {len(self.partial)} of {self.expected} bytes"
