"""Where the threads of this process stand, in words."""

from __future__ import annotations

import sys
import threading
import traceback


def of_all(name: str) -> str:
    """The stacks of all threads, those of this name first, then the main thread; but not the caller's."""
    threads = {thread.ident: thread for thread in threading.enumerate()}
    main = threading.main_thread()

    def order(ident: int) -> tuple[bool, bool]:
        thread = threads.get(ident)
        return thread is None or thread.name != name, thread is not main

    frames = sys._current_frames()
    frames.pop(threading.get_ident(), None)
    lines: list[str] = []
    for ident in sorted(frames, key=order):
        thread = threads.get(ident)
        lines.append(f"Thread {hex(ident) if thread is None else thread.name} (most recent call last):\n")
        lines += traceback.format_stack(frames[ident])
    return "".join(lines)
