"""Hosts inside asyncio, and services on its loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any

import libcoop
import pytest
from conftest import Program
from hostkit import LONG, SLEEP, child, names, raises, sleeps, stop_when, waits
from libcoop import AsyncHost, ChildState, Context, Executor, Host, Restart

ASYNC = Executor.ASYNC
THREAD = Executor.THREAD


def run(test: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(LONG):
            await test

    asyncio.run(bounded())


async def comes(condition: Any) -> Any:
    """Waits until a condition holds, while the loop runs."""
    while not (answer := condition()):
        await asyncio.sleep(0.005)
    return answer


def test_verbs_are_awaited() -> None:
    async def test() -> None:
        async with Host("top") as host:
            assert isinstance(host, AsyncHost)
            assert repr(host) == "<libcoop.AsyncHost 'top', not started>"
            id = await host.add("one", waits, executor=THREAD)
            sub = await host.supervisor("sub")
            await sub.add("two", sleeps, executor=ASYNC)
            await host.start()
            assert repr(host) == "<libcoop.AsyncHost 'top', started>"
            assert (host.find("one"), names(host), names(sub)) == (id, ["one", "sub"], ["two"])
            await host.start_child("three", SLEEP)
            await host.replace_child("three")
            assert child(host, "three").run == 2
            await host.terminate_child("three")
            await host.restart_child("three")
            await host.terminate_child("three")
            await host.delete_child("three")
            with pytest.raises(libcoop.Stale):
                await host.delete_child("three")
            with pytest.raises(libcoop.Exists):
                await host.add("one", SLEEP)
            with pytest.raises(libcoop.Exists):
                await host.start()
            assert host.count_children() == libcoop.ChildCounts(2, 2, 1, 1)
            assert repr(sub) == f"<libcoop.AsyncSupervisor {sub.id:#x} of host 'top'>"
            with pytest.raises(libcoop.Timeout):
                await host.join(0.01)
        assert repr(host) == "<libcoop.AsyncHost 'top', closed>"
        with pytest.raises(libcoop.Closed):
            await host.start()

    run(test())


def test_a_start_that_fails() -> None:
    async def fails(ctx: Context) -> None:
        raise ValueError("no luck")

    async def test() -> None:
        async with Host() as host:
            await host.add("it", fails, executor=ASYNC, ready="notify")
            with pytest.raises(libcoop.Failed, match="ValueError: no luck"):
                await host.start()
            with pytest.raises(libcoop.Invalid, match="not been started"):
                await host.join()

    run(test())


def test_wait_starts_and_ends_with_the_host() -> None:
    async def test() -> None:
        async with Host() as host:
            await host.add("it", sleeps, executor=ASYNC)
            waiter = asyncio.create_task(host.wait())
            await comes(lambda: child(host, "it").state == ChildState.RUNNING)
            host.stop()
            assert await waiter == libcoop.Finish("stopped", None)
            assert host.finished() == libcoop.Finish("stopped", None)

    run(test())


def test_wait_raises_why_the_root_gave_up() -> None:
    async def test() -> None:
        async with Host(intensity=0) as host:
            await host.add("it", raises, executor=THREAD)
            with pytest.raises(libcoop.Failed, match="no luck"):
                await host.wait()

    run(test())


def test_the_plain_verbs_are_refused_on_the_loop_of_its_services() -> None:
    async def test() -> None:
        plain = Host()
        async with plain as host:
            await host.start()
            for verb in (plain.wait, plain.join, plain.shutdown, lambda: plain.add("it", SLEEP)):
                with pytest.raises(libcoop.WouldDeadlock, match=r"async with libcoop\.Host\(\)"):
                    verb()
            # Another thread may.
            await asyncio.to_thread(plain.add, "it", sleeps, executor=ASYNC)
            assert names(host) == ["it"]

    run(test())


def test_a_plain_host_inside_asyncio() -> None:
    async def test() -> None:
        with Host() as host:
            host.add("it", waits, executor=THREAD)
            with pytest.raises(libcoop.Invalid, match=r"async with libcoop\.Host\(\)"):
                host.add("other", sleeps, executor=ASYNC)
            host.start()
            with pytest.raises(libcoop.WouldDeadlock, match=r"await host\.wait\(\)"):
                host.wait()

    run(test())


def test_a_service_calls_verbs_of_its_own_host() -> None:
    async def service(ctx: Context, host: list[AsyncHost]) -> None:
        with pytest.raises(libcoop.WouldDeadlock):
            host[0]._sync.terminate_child("it")
        await host[0].add("other", sleeps, executor=ASYNC)
        await host[0].terminate_child("other")
        ctx.ready()
        # Its own end: it is cancelled meanwhile.
        await host[0].terminate_child("it")

    async def test() -> None:
        box: list[AsyncHost] = []
        async with Host() as host:
            box.append(host)
            await host.start()
            await host.start_child("it", service, box, executor=ASYNC, ready="notify")
            await comes(lambda: child(host, "it").state == ChildState.TERMINATED)
            assert child(host, "other").state == ChildState.TERMINATED
        box.clear()

    run(test())


def test_a_service_that_swallows_its_cancellation_is_unresponsive() -> None:
    async def deaf(ctx: Context, free: asyncio.Event) -> None:
        while not free.is_set():
            try:
                await free.wait()
            except asyncio.CancelledError:
                continue

    async def test() -> None:
        free = asyncio.Event()
        async with Host() as host:
            await host.add("deaf", deaf, free, executor=ASYNC, shutdown=0.05)
            await host.start()
            await host.terminate_child("deaf")
            assert child(host, "deaf").state == ChildState.UNRESPONSIVE
            free.set()
            await comes(lambda: child(host, "deaf").state == ChildState.TERMINATED)

    run(test())


def test_a_service_that_looks_out_and_goes_on_is_cancelled_at_its_deadline() -> None:
    seen = []

    async def late(ctx: Context) -> None:
        await ctx.stopping
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    async def test() -> None:
        async with Host() as host:
            # It has so long to hear that it was asked.
            await host.add("late", late, executor=ASYNC, shutdown=2.0)
            await host.start()
            await asyncio.sleep(0)
            await host.terminate_child("late")
            await comes(lambda: child(host, "late").state == ChildState.TERMINATED)
        assert seen == ["cancelled"]

    run(test())


def test_stopping_may_be_awaited_in_parts() -> None:
    seen = []

    async def service(ctx: Context) -> None:
        for _ in range(3):
            try:
                await asyncio.wait_for(asyncio.ensure_future(_stopping(ctx)), 0.01)
            except TimeoutError:
                seen.append("not yet")
        ctx.ready()
        await asyncio.gather(_stopping(ctx), _stopping(ctx))
        seen.append("stopping")

    async def _stopping(ctx: Context) -> None:
        await ctx.stopping

    async def test() -> None:
        async with Host() as host:
            await host.add("it", service, executor=ASYNC, ready="notify")
            await host.start()

    run(test())
    assert seen == ["not yet"] * 3 + ["stopping"]


def test_a_task_that_somebody_else_cancels_has_failed() -> None:
    async def service(ctx: Context) -> None:
        if ctx.run == 1:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
        ctx.ready()
        await asyncio.sleep(3600)

    async def test() -> None:
        async with Host() as host:
            await host.add("it", service, executor=ASYNC)
            await host.start()
            await comes(lambda: child(host, "it").run == 2 and child(host, "it").state == ChildState.RUNNING)

    run(test())


def test_a_block_that_is_cancelled_ends_what_runs() -> None:
    seen = []

    async def slow(ctx: Context) -> None:
        try:
            await ctx.stopping
            await asyncio.sleep(3600)
        finally:
            seen.append("ended")

    async def block(begun: asyncio.Event) -> None:
        async with Host() as host:
            await host.add("slow", slow, executor=ASYNC, shutdown="infinity")
            await host.add("program", SLEEP)
            await host.start()
            await asyncio.sleep(0)
            begun.set()

    async def test() -> None:
        begun = asyncio.Event()
        task = asyncio.create_task(block(begun))
        await begun.wait()
        # It waits for what takes as long as it likes.
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(test())
    assert seen == ["ended"]


def test_a_verb_that_is_cancelled_is_carried_out() -> None:
    async def test() -> None:
        async with Host() as host:
            await host.start()
            free = asyncio.Event()

            async def service(ctx: Context) -> None:
                await free.wait()
                ctx.ready()
                await ctx.stopping

            adding = asyncio.create_task(host.add("it", service, executor=ASYNC, ready="notify"))
            await comes(lambda: names(host) == ["it"])
            adding.cancel()
            with pytest.raises(asyncio.CancelledError):
                await adding
            free.set()
            await comes(lambda: child(host, "it").state == ChildState.RUNNING)

    run(test())


def test_a_loop_that_ends_under_services(program: Program) -> None:
    program(
        """
        import asyncio, time
        import libcoop

        async def sleeps(ctx):
            await asyncio.sleep(3600)

        plain = libcoop.Host(intensity=0)

        async def main():
            host = await plain.__aenter__()
            await host.add("it", sleeps, executor=libcoop.Executor.ASYNC)
            await host.start()

        asyncio.run(main())
        # Its task was cancelled with the loop, and cannot begin again.
        while plain._tree.native.finished() is None:
            time.sleep(0.01)
        try:
            plain.finished()
        except libcoop.Failed as error:
            print(error)
        else:
            raise AssertionError("it has not given up")
        plain.close()
        """,
        stderr=None,
    )


def test_a_loop_that_is_closed_under_services(program: Program) -> None:
    program(
        """
        import asyncio, time
        import libcoop

        async def sleeps(ctx):
            await asyncio.sleep(3600)

        plain = libcoop.Host()
        loop = asyncio.new_event_loop()

        async def main():
            host = await plain.__aenter__()
            await host.add("it", sleeps, executor=libcoop.Executor.ASYNC)
            await host.start()
            await asyncio.sleep(0)

        loop.run_until_complete(main())
        loop.close()
        plain.shutdown(60)
        plain.close()
        """,
        stderr=None,
    )


def test_many_waits_at_once() -> None:
    async def test() -> None:
        async with Host() as host:
            await host.add("it", waits, executor=THREAD)
            await host.start()
            ends = [asyncio.create_task(host.join()) for _ in range(20)]
            await asyncio.sleep(0)
            host.stop()
            assert {end.how for end in await asyncio.gather(*ends)} == {"stopped"}

    run(test())


def test_the_loop_of_a_plain_host_runs_while_it_waits() -> None:
    ticks = []

    async def tick(ctx: Context) -> None:
        while True:
            ticks.append(threading.current_thread() is threading.main_thread())
            await asyncio.sleep(0.001)

    with Host() as host:
        host.add("it", tick, executor=ASYNC)
        host.start()
        ender = stop_when(host, lambda: len(ticks) > 10)
        host.wait()
        ender.join()
    assert all(ticks)


def test_temporary_services_on_a_loop_come_and_go() -> None:
    async def brief(ctx: Context, number: int) -> None:
        await asyncio.sleep(0)

    async def test() -> None:
        async with Host() as host:
            await host.start()
            for number in range(50):
                await host.start_child(f"s{number}", brief, number, executor=ASYNC, restart=Restart.TEMPORARY)
            await comes(lambda: names(host) == [])

    run(test())
