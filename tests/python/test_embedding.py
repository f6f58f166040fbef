"""An event loop inside a foreign one: `select.poll`, and asyncio's."""

from __future__ import annotations

import asyncio
import select
import threading
from collections.abc import Callable

import pytest
from libcoop import Closed, EventLoop, RunMode

DEADLINE = 30.0


def readable(loop: EventLoop, seconds: float) -> bool:
    poll = select.poll()
    poll.register(loop.backend_fd(), select.POLLIN)
    return bool(poll.poll(seconds * 1000))


def quiet(loop: EventLoop) -> bool:
    return not readable(loop, 0) and loop.backend_timeout() is None


def test_a_loop_with_nothing_to_run_lets_the_foreign_one_sleep(loop: EventLoop) -> None:
    assert quiet(loop)
    # In the main thread, which listens for signals while it runs: that leaves nothing behind either.
    for _ in range(3):
        loop.run(RunMode.NOWAIT)
        assert quiet(loop)


def test_posts_timers_and_stop_of_another_thread_are_told(loop: EventLoop) -> None:
    assert quiet(loop)
    ran: list[str] = []

    def from_a_thread(call: Callable[[], object]) -> None:
        thread = threading.Thread(target=call)
        thread.start()
        assert readable(loop, DEADLINE)
        thread.join()

    from_a_thread(lambda: loop.post(ran.append, "post"))
    assert loop.backend_timeout() == 0
    loop.run(RunMode.NOWAIT)
    assert ran == ["post"]
    assert quiet(loop)

    begun = loop.now()
    from_a_thread(lambda: loop.call_later(0.005, ran.append, "timer"))
    while ran != ["post", "timer"]:
        timeout = loop.backend_timeout()
        assert timeout is not None
        readable(loop, timeout)
        loop.run(RunMode.NOWAIT)
    assert loop.now() - begun >= 0.005

    loop.call_later(3600, ran.append, "never")
    timeout = loop.backend_timeout()
    assert timeout is not None
    assert 0 <= timeout <= 3601
    loop.run(RunMode.NOWAIT)
    from_a_thread(loop.stop)
    # It has a timer to drop.
    assert loop.backend_timeout() == 0
    loop.run(RunMode.NOWAIT)
    with pytest.raises(Closed):
        loop.backend_timeout()


def test_it_runs_inside_asyncio(loop: EventLoop) -> None:
    async def main() -> list[str]:
        outer = asyncio.get_running_loop()
        done = asyncio.Event()
        ran: list[str] = []
        pending: list[asyncio.TimerHandle] = []

        def run() -> None:
            loop.run(RunMode.NOWAIT)
            while pending:
                pending.pop().cancel()
            if (timeout := loop.backend_timeout()) is not None:
                pending.append(outer.call_later(timeout, run))

        def end() -> None:
            ran.append("timer")
            done.set()

        def post() -> None:
            ran.append("post")
            loop.call_later(0.01, end)

        outer.add_reader(loop.backend_fd(), run)
        threading.Thread(target=loop.post, args=(post,)).start()
        await asyncio.wait_for(done.wait(), DEADLINE)
        outer.remove_reader(loop.backend_fd())
        return ran

    assert asyncio.run(main()) == ["post", "timer"]
