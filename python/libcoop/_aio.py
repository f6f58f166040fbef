"""`libcoop.AsyncHost` and `libcoop.AsyncSupervisor`: hosts inside asyncio."""

from __future__ import annotations

import asyncio
from typing import Any, Unpack

from libcoop import _main, _specs
from libcoop._children import Finish, finish
from libcoop._enums import AutoShutdown, Restart, Strategy
from libcoop._errors import Error, Forked, Invalid, Timeout
from libcoop._host import CommonHost, Host
from libcoop._supervisor import Child, Common, _naming


class AsyncSupervisor(Common):
    """A Supervisor whose verbs are awaited. A verb whose await is cancelled is carried out all the same."""

    async def add(self, id: str, entry: _specs.Entry, *args: Any, **options: Unpack[_specs.ServiceOptions]) -> int:
        """As `Supervisor.add`."""
        service = _specs.service(self._tree, id, entry, args, options)
        return await self._native.add(service, False)  # type: ignore[no-any-return]

    async def supervisor(
        self,
        id: str,
        *,
        strategy: Strategy = Strategy.ONE_FOR_ONE,
        intensity: int | None = 1,
        period: float = 5.0,
        auto_shutdown: AutoShutdown = AutoShutdown.NEVER,
        restart: Restart = Restart.PERMANENT,
        shutdown: float | str = "infinity",
        significant: bool = False,
    ) -> AsyncSupervisor:
        """As `Supervisor.supervisor`."""
        added = await self._add_supervisor(
            id, strategy, intensity, period, auto_shutdown, restart, shutdown, significant, False
        )
        return AsyncSupervisor(self._tree, self._native.of(added))

    async def start_child(self, *args: Any, **options: Unpack[_specs.ServiceOptions]) -> int:
        """As `Supervisor.start_child`."""
        return await self._start_child(args, options, False)  # type: ignore[no-any-return]

    async def terminate_child(self, child: Child) -> None:
        """As `Supervisor.terminate_child`."""
        with _naming(child):
            await self._native.terminate_child(child, False)

    async def restart_child(self, child: Child) -> None:
        """As `Supervisor.restart_child`."""
        with _naming(child):
            await self._native.restart_child(child, False)

    async def delete_child(self, child: Child) -> None:
        """As `Supervisor.delete_child`."""
        with _naming(child):
            await self._native.delete_child(child, False)

    async def replace_child(self, child: Child) -> None:
        """As `Supervisor.replace_child`."""
        with _naming(child):
            await self._native.replace_child(child, False)


class AsyncHost(CommonHost, AsyncSupervisor):
    """A Host inside asyncio: `async with libcoop.Host() as host`. Services of Executor.ASYNC run on this block's loop.

    Leaving the block stops the host and waits for its services; cancelled meanwhile, it ends what still runs.
    """

    def __init__(self, host: Host) -> None:
        tree = host._tree
        if tree.loop is not None:
            raise Invalid("a host is entered by `async with` once, before Executor.ASYNC is used")
        tree.loop = asyncio.get_running_loop()
        super().__init__(tree, tree.native.root())
        # Kept, for the interpreter's exit finds that one.
        self._sync = host

    @property
    def root(self) -> AsyncSupervisor:
        """The root, as a supervisor."""
        return AsyncSupervisor(self._tree, self._host.root())

    async def start(self) -> None:
        """As `Host.start`."""
        _main.refuse_unguarded("AsyncHost.start()")
        await self._host.start(False)

    async def wait(self) -> Finish:
        """As `Host.wait`: in the main thread SIGINT and SIGTERM stop the host meanwhile."""
        taken = self._host.take_signals()
        try:
            if not self._host.is_started() and self._host.finished() is None:
                try:
                    await self.start()
                except Error:
                    # A signal has stopped it meanwhile: that is how it ended.
                    if self._host.finished() is None:
                        raise
            ended = await self._host.ended()
            await self._finish()
            return finish(ended)
        finally:
            if taken is not None:
                taken.give_back()

    async def join(self, timeout: float | None = None) -> Finish:
        """As `Host.join`."""
        if not self._host.is_started():
            raise Invalid("the host has not been started")
        return finish(await self._ended(timeout))

    async def shutdown(self, timeout: float | None = None) -> None:
        """As `Host.shutdown`."""
        if not self._host.closed:
            self._host.stop()
            await self._ended(timeout)

    async def close(self) -> None:
        """Stops it if it runs, waits until it has ended, and lets go of it; any number of times.

        Cancelled, it ends what still runs, and waits for that.
        """
        if self._host.closed:
            return
        try:
            await self.shutdown()
        except Forked:
            pass
        except BaseException:
            self._host.kill()
            await self._after_kill()
            raise
        finally:
            await self._finish()
            self._tree.close()

    async def _after_kill(self) -> None:
        """Waits for what was ended, however often the waiter is cancelled."""
        ended = asyncio.ensure_future(_awaited(self._host.ended()))
        while not ended.done():
            try:
                await asyncio.wait([ended])
            except asyncio.CancelledError:
                continue

    async def _ended(self, timeout: float | None) -> tuple[int, int | None, str]:
        try:
            ended: tuple[int, int | None, str] = await asyncio.wait_for(_awaited(self._host.ended()), timeout)
        except TimeoutError:
            raise Timeout(f"the host {self.name!r} has not ended yet") from None
        await self._finish()
        return ended

    async def _finish(self) -> None:
        if self._tree.has_to_finish():
            # What handlers and callbacks do may need this loop.
            await asyncio.to_thread(self._tree.finish)


async def _awaited(future: Any) -> Any:
    return await future
