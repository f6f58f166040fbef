"""Handlers that another worker takes over from, in a module of their own: processes must find them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import libcoop
from libcoop import Handler, PortContext


class Keeps(Handler):
    """Answers lines, and keeps a number; starts only if a file says so."""

    def __init__(self, how: str) -> None:
        self.how = Path(how)
        self.number = 0
        self.heard: Any = None

    def on_start(self, ctx: PortContext) -> None:
        text = self.how.read_text()
        if text != "ok":
            raise RuntimeError(text)
        self.number = ctx.saved or 0

    def on_data(self, ctx: PortContext, connection: int, data: bytes) -> None:
        for line in data.decode().splitlines():
            ctx.write(connection, f"{self.answer(ctx, line)}\n".encode())

    def answer(self, ctx: PortContext, line: str) -> object:
        match line:
            case "run":
                return ctx.run
            case "pid":
                return os.getpid()
            case "heard":
                return self.heard
            case "add":
                self.number += 1
                return self.number
            case "save":
                try:
                    ctx.save(self.number)
                except libcoop.Closed as error:
                    return error
                return "saved"
            case _:
                return line

    def on_message(self, ctx: PortContext, sender: str, obj: object) -> None:
        self.heard = obj

    def on_hand_over(self, ctx: PortContext) -> None:
        ctx.save(self.number)
