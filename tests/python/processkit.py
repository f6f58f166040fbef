"""What programs begin with that show what becomes of a whole process."""

from __future__ import annotations

PRELUDE = """
import os, signal, socket, sys, threading, time
import libcoop
from libcoop import EventLoop, Handler, Mode, Pool, Port, PortSet, Runtime, RunMode

def interrupt_soon():
    "Sends Ctrl-C once the main thread is in its wait: it is seen to sleep outside the interpreter."
    main = f"/proc/self/task/{os.getpid()}/"
    def interrupt():
        while open(main + "stat").read().rpartition(")")[2].split()[0] != "S":
            pass
        os.kill(os.getpid(), signal.SIGINT)
    threading.Thread(target=interrupt, daemon=True).start()

class Run(Handler):
    def on_message(self, ctx, sender, obj):
        obj(ctx)
"""
