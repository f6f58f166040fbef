"""CONNECT: how a client comes by its three ports.

Guarantees: at most TRIES datagrams, INTERVAL seconds apart; only the server's own answer counts (the socket is
connected); a refused or unreachable server costs a try, never an exception of another kind than JoinError.
"""

from __future__ import annotations

import random
import select
import socket
import time
from dataclasses import dataclass

from .packet import CONNECT, Reason, parse_answer

TRIES = 5
INTERVAL = 1.0  # seconds


class JoinError(Exception):
    """The message is one line, complete."""


@dataclass(frozen=True)
class Joined:
    """What the server gave. `host` is its numeric address, `local` the address to bind for it."""

    host: str
    local: str
    ports: tuple[int, int, int]
    key: int
    bad_answers: int


def join(target: tuple[str, int], drop_rate: float) -> Joined:
    """Ask the server at `target` for ports. `drop_rate` is --test-drop-rate."""
    try:
        found = socket.getaddrinfo(*target, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError) as error:
        raise JoinError(f"cannot resolve {target[0]}: {error}") from None
    family, _, _, _, address = found[0]
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect(address)
        except OSError as error:
            raise JoinError(f"cannot reach {target[0]}:{target[1]}: {error.strerror}") from None
        trouble, bad = "", 0
        for _ in range(TRIES):
            deadline = time.monotonic() + INTERVAL
            if not (drop_rate and random.random() < drop_rate):
                try:
                    sock.send(CONNECT)
                except OSError as error:
                    trouble = f" ({error.strerror})"
            while True:
                left = deadline - time.monotonic()
                if left <= 0 or not select.select([sock], [], [], left)[0]:
                    break
                try:
                    answer = parse_answer(sock.recv(2048))
                except OSError as error:
                    trouble = f" ({error.strerror})"
                    continue
                if isinstance(answer, Reason):
                    bad += 1
                    continue
                local = "::" if family == socket.AF_INET6 else "0.0.0.0"
                return Joined(str(address[0]), local, answer[:3], answer[3], bad)
    raise JoinError(f"no answer from {target[0]}:{target[1]} to {TRIES} CONNECT, {INTERVAL:g} s apart{trouble}")
