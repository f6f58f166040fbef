"""Which of the configured ports are whose.

Guarantees: a port is given to one client at a time; what is given out comes round last.
"""

from __future__ import annotations

import socket


class PortPool:
    """The ports of the configured ranges."""

    def __init__(self, numbers: list[int], host: str) -> None:
        self._numbers = numbers
        self._host = host
        self._next = 0
        self._given: set[int] = set()

    def take(self, count: int) -> list[int] | None:
        """`count` ports that nobody had a moment ago; None when there are not so many."""
        found: list[int] = []
        for _ in range(len(self._numbers)):
            number = self._numbers[self._next]
            self._next = (self._next + 1) % len(self._numbers)
            if number not in self._given and _is_free(self._host, number):
                found.append(number)
                if len(found) == count:
                    self._given.update(found)
                    return found
        return None

    def give_back(self, ports: list[int]) -> None:
        """They may be given out again."""
        self._given.difference_update(ports)


def _is_free(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True
