"""`libcoop.Host`: the owner of a tree of supervisors and services."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Self

from libcoop import _exit, _libcoop, _main, _options
from libcoop._children import Finish, finish
from libcoop._enums import AutoShutdown, Strategy
from libcoop._errors import Closed, Error, Forked, Invalid, Timeout, WouldDeadlock
from libcoop._supervisor import Common, Supervisor
from libcoop._tree import INSTEAD, Tree, running_loop

if TYPE_CHECKING:
    from libcoop._aio import AsyncHost


class CommonHost(Common):
    """What answers at once, of every host."""

    def _own_path(self) -> tuple[str, ...]:
        return ()

    @property
    def _host(self) -> _libcoop.NativeHost:
        return self._tree.native

    @property
    def name(self) -> str:
        """The root's name, which every path begins with."""
        return self._host.name

    def stop(self) -> None:
        """Asks the host to stop its services, last first, and returns at once. Any thread, any number of times."""
        self._host.stop()

    def kill(self) -> None:
        """Ends everything that runs, and returns at once. Any thread, any number of times."""
        self._host.kill()

    def finished(self) -> Finish | None:
        """How it has ended, if it has. Raises Failed if its root gave up."""
        told = self._host.finished()
        return None if told is None else finish(told)

    def __repr__(self) -> str:
        return f"<libcoop.{type(self).__name__} {self.name!r}, {_state(self._host)}>"


def _state(native: _libcoop.NativeHost) -> str:
    """How far a host is, in a word."""
    try:
        if native.closed:
            return "closed"
        if native.finished() is not None:
            return "ended"
        return "started" if native.is_started() else "not started"
    except Forked:
        return "the parent's"


class Host(CommonHost, Supervisor):
    """A tree of supervisors and services, on a thread of its own; itself it is the tree's root.

        with libcoop.Host() as host:
            host.add("web", Web, 8080)
            host.wait()

    What is added before the start is only noted. Leaving the `with` block stops the host and waits for its services;
    `async with` makes it an AsyncHost, whose verbs are awaited. `history` is how many events are kept for observers
    that come late. `worker_init` names a function ("module:name") that is called first in each process of an entry.
    `reap`: orphans that come to this process are reaped; None is yes if it is process 1.

    More than `intensity` restarts (None: any number) within `period` seconds are too many: the host has failed then.
    Raises Invalid, Os. In a forked child its calls raise Forked.
    """

    def __init__(
        self,
        name: str = "root",
        *,
        strategy: Strategy = Strategy.ONE_FOR_ONE,
        intensity: int | None = 1,
        period: float = 5.0,
        auto_shutdown: AutoShutdown = AutoShutdown.NEVER,
        history: int = 256,
        worker_init: str | None = None,
        reap: bool | None = None,
    ) -> None:
        native = _libcoop.NativeHost(
            _options.text("name", name),
            *_options.flags(strategy, intensity, period, auto_shutdown),
            _options.number("history", history, 0, (1 << 32) - 1),
            os.getpid() == 1 if reap is None else _options.flag("reap", reap),
        )
        init = None if worker_init is None else _options.named("worker_init", worker_init)
        super().__init__(Tree(native, init), native.root())
        self._async: AsyncHost | None = None
        _exit.register(self, _exit.HOST)

    @property
    def root(self) -> Supervisor:
        """The root, as a supervisor."""
        return Supervisor(self._tree, self._host.root())

    def start(self) -> None:
        """Starts the tree, in order, and waits until all are ready.

        Raises why a service did not start: what was started has been stopped then, and it may be tried again. Raises
        Exists if it was started before, Closed if it has ended, WouldDeadlock, Forked; Failed where the main script
        starts it again in a worker, since nothing guards that.
        """
        _main.refuse_unguarded("Host.start()")
        self._tree.block(self._host.start)

    def wait(self) -> Finish:
        """Starts the host if it is not started, and waits until it has ended; answers how.

        In the main thread SIGINT and SIGTERM stop it meanwhile, and a second one ends everything at once; afterwards
        they do again what they did before. Python's handlers of other signals run meanwhile, and what they raise ends
        the wait. In another thread signals are left alone. Services of Executor.ASYNC run here.

        Raises Failed with the reason if its root gave up, WouldDeadlock inside asyncio and in its own services, Closed,
        Forked, and what `start` raises.
        """
        self._check_wait()
        taken = self._host.take_signals()
        try:
            if not self._host.is_started() and self._host.finished() is None:
                try:
                    self.start()
                except Error:
                    # A signal has stopped it meanwhile: that is how it ended.
                    if self._host.finished() is None:
                        raise
            ended = self._tree.wait_ended()
        finally:
            if taken is not None:
                taken.give_back()
        assert ended is not None
        return finish(ended)

    def join(self, timeout: float | None = None) -> Finish:
        """As `wait`, of a host that was started, without signals.

        Raises Timeout after `timeout` seconds, Invalid if it was not started, and as `wait`.
        """
        self._check_wait()
        if not self._host.is_started():
            raise Invalid("the host has not been started")
        return finish(self._ended(timeout))

    def shutdown(self, timeout: float | None = None) -> None:
        """`stop`, and waits until it has ended.

        Raises Timeout after `timeout` seconds: it goes on stopping, and this may be called again. Raises WouldDeadlock
        as `wait`, and nothing is stopped then; Forked.
        """
        if not self._host.closed:
            self._tree.check_block()
            self._host.check_outside()
            self._host.stop()
            self._ended(timeout)

    def close(self) -> None:
        """Stops it if it runs, waits until it has ended, and lets go of it; any number of times."""
        if self._host.closed:
            return
        try:
            self.shutdown()
        except (Forked, WouldDeadlock):
            # The parent's; or its services end when the one that closes it has returned.
            pass
        except BaseException:
            # Ctrl-C, once more: what still runs is not waited for.
            self._host.kill()
            raise
        finally:
            self._tree.close()

    def _ended(self, timeout: float | None) -> tuple[int, int | None, str]:
        ended = self._tree.wait_ended(timeout)
        if ended is None:
            raise Timeout(f"the host {self.name!r} has not ended yet")
        return ended

    def _check_wait(self) -> None:
        if running_loop() is not None:
            raise WouldDeadlock(f"waiting for a host would block the loop of asyncio; {INSTEAD}")
        self._host.check_outside()

    def _stop_at_exit(self, patience: float) -> None:
        if self._host.closed:
            return
        try:
            self._host.stop()
            if self._tree.wait_ended(_exit.POOL_PATIENCE) is None:
                self._host.kill()
                self._ended(patience)
        except Closed:
            # By another thread meanwhile.
            return
        except BaseException:
            self._host.kill()
            raise
        self._tree.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    async def __aenter__(self) -> AsyncHost:
        from libcoop._aio import AsyncHost

        self._async = AsyncHost(self)
        return self._async

    async def __aexit__(self, *_exc: object) -> None:
        if self._async is not None:
            await self._async.close()
