"""CONNECT: how a client comes by its three ports.

Guarantees: at most TRIES datagrams, INTERVAL seconds apart; only the server's own answer counts (sockets are
connected); a refused or unreachable server costs a try, never an exception of another kind than JoinError.
"""

from __future__ import annotations

import random
import select
import socket
import time
from contextlib import ExitStack
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
    except OSError as error:
        raise JoinError(f"cannot resolve {target[0]}: {error.strerror or error}") from None
    except UnicodeError as error:
        raise JoinError(f"cannot resolve {target[0]}: {error}") from None
    # A name may stand for several addresses, of which the server need not have each: IPv4 first, as servers bind it by
    # default, and a try each in turn.
    found.sort(key=lambda entry: entry[0] != socket.AF_INET)
    addresses = list(dict.fromkeys((family, address) for family, _, _, _, address in found))
    trouble, bad = "", 0
    with ExitStack() as stack:
        socks: dict[int, socket.socket] = {}
        for number in range(TRIES):
            at = number % len(addresses)
            deadline = time.monotonic() + INTERVAL
            try:
                if at not in socks:
                    sock = stack.enter_context(socket.socket(addresses[at][0], socket.SOCK_DGRAM))
                    sock.connect(addresses[at][1])
                    socks[at] = sock
                if not (drop_rate and random.random() < drop_rate):
                    socks[at].send(CONNECT)
            except OSError as error:
                trouble = f" ({error.strerror})"
            while (left := deadline - time.monotonic()) > 0:
                ready = select.select(list(socks.values()), [], [], left)[0]
                for at, sock in socks.items():
                    if sock not in ready:
                        continue
                    try:
                        answer = parse_answer(sock.recv(2048))
                    except OSError as error:
                        trouble = f" ({error.strerror})"
                        continue
                    if isinstance(answer, Reason):
                        bad += 1
                        continue
                    family, address = addresses[at]
                    local = "::" if family == socket.AF_INET6 else "0.0.0.0"
                    return Joined(str(address[0]), local, answer[:3], answer[3], bad)
    raise JoinError(f"no answer from {target[0]}:{target[1]} to {TRIES} CONNECT, {INTERVAL:g} s apart{trouble}")
