"""What programs begin with that show what becomes of a whole process."""

from __future__ import annotations

import inspect
import time


def until_asleep(pid: int) -> None:
    """Waits until the main thread of a process has slept for a while in one piece: it is in the wait of its program.

    A thread that sleeps because another has the interpreter wakes up every 5 ms, to ask for it. After a second any
    sleep will do: what the program waits in may wake up itself.
    """
    before, now, end = None, ("", ""), time.monotonic() + 1
    while not now[0].startswith("S") or (before != now and time.monotonic() < end):
        time.sleep(0.02)
        with open(f"/proc/{pid}/task/{pid}/status") as status:
            lines = dict(line.split(":", 1) for line in status if ":" in line)
        before, now = now, (lines["State"].strip(), lines["voluntary_ctxt_switches"])


PRELUDE = f"""
import os, signal, socket, sys, threading, time
import libcoop
from libcoop import EventLoop, Handler, Mode, Pool, Port, PortSet, Runtime, RunMode

{inspect.getsource(until_asleep)}

def interrupt_soon():
    "Sends Ctrl-C once the main thread is in its wait."
    def interrupt():
        until_asleep(os.getpid())
        os.kill(os.getpid(), signal.SIGINT)
    threading.Thread(target=interrupt, daemon=True).start()

class Run(Handler):
    def on_message(self, ctx, sender, obj):
        obj(ctx)
"""
