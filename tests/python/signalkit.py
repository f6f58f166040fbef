"""Programs that are sent signals while they run."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
from pathlib import Path

from hostkit import LONG

SETUP = """
import asyncio, os, signal, sys, threading, time
import libcoop
from libcoop import ChildState, Executor, Host

# What a shell runs in the background is deaf to SIGINT.
signal.signal(signal.SIGINT, signal.default_int_handler)

def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())

def plain(ctx):
    say("up", ctx.name)
    ctx.ready()
    ctx.stopping.wait()
    say("down", ctx.name)

async def on_loop(ctx):
    say("up", ctx.name)
    ctx.ready()
    await ctx.stopping
    say("down", ctx.name)
"""


class Running:
    """A program that runs, and what it says."""

    def __init__(self, source: str, folder: Path, *before: str) -> None:
        path = folder / "program.py"
        main = textwrap.indent(textwrap.dedent(source), "    ")
        path.write_text(f'{SETUP}\nif __name__ == "__main__":\n{main}')
        # A file takes whatever is written while nobody reads.
        self._errors = folder / "errors"
        with self._errors.open("w") as errors:
            self.process = subprocess.Popen(
                [*before, sys.executable, "-X", "faulthandler", str(path)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                cwd=folder,
            )
        self.pid = self.process.pid
        self.said: list[str] = []
        # So that a program that hangs is a failure, and not a hang.
        self._bound = threading.Timer(LONG, self.process.kill)
        self._bound.daemon = True
        self._bound.start()

    def until_says(self, word: str) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(line.rstrip("\n"))
            if self.said[-1] == word:
                return
        raise AssertionError(f"it ended: {self.said} {self.end()}")

    def kill(self, signum: int) -> None:
        self.process.send_signal(signum)

    def end(self) -> tuple[int, list[str], str]:
        """Its status, all that it said, and its errors."""
        assert self.process.stdout is not None
        # By the file that `until_says` reads: `communicate` would not have what that has read ahead.
        with self.process.stdout as stdout:
            self.said += stdout.read().splitlines()
        status = self.process.wait()
        self._bound.cancel()
        return status, self.said, self._errors.read_text()
