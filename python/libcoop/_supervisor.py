"""`libcoop.Supervisor`: the verbs of OTP, waited for; and what they have in common with those that are awaited."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Unpack

from libcoop import _libcoop, _options, _specs
from libcoop._children import ChildCounts, ChildInfo, ChildSpec, info, spec
from libcoop._enums import AutoShutdown, Restart, Strategy
from libcoop._errors import Invalid, Stale
from libcoop._events import Lost
from libcoop._tree import Tree

Child = str | int
"""A child by its name among its siblings, or by its id."""


class Common:
    """What answers at once, of every supervisor."""

    def __init__(self, tree: Tree, native: _libcoop.NativeSupervisor) -> None:
        self._tree = tree
        self._native = native

    @property
    def id(self) -> int:
        """Its id in its host."""
        return self._native.id

    def template(self, id: str, entry: _specs.Entry, *args: Any, **options: Unpack[_specs.ServiceOptions]) -> None:
        """What the children of a SIMPLE_ONE_FOR_ONE supervisor are made of, as `add` takes it.

        It replaces the one before, for children that start from now on. Raises Invalid under another strategy, and as
        `add`.
        """
        service = _specs.service(self._tree, id, entry, args, options)
        self._native.template(service)
        self._tree.templates[self._native.id] = _specs.children(self._tree, entry, args, options)

    def which_children(self) -> list[ChildInfo]:
        """The children, in the order of their start. Raises Stale if the supervisor has gone, Closed, Forked."""
        return [info(child) for child in self._native.which_children()]

    def count_children(self) -> ChildCounts:
        """How many children there are. Raises as `which_children`."""
        return ChildCounts(*self._native.count_children())

    def get_childspec(self, child: Child) -> ChildSpec:
        """What is known of a child, with every default filled in. Raises Stale if there is no such child."""
        with _naming(child):
            return spec(self._native.get_childspec(child))

    def find(self, name: str) -> int | None:
        """The id of the child of this name, if there is one."""
        return self._native.find(_options.text("child", name))

    def events(self, *paths: str, kinds: Iterable[str] = (), queue: int = 1024, replay: int = 0) -> _libcoop.Observer:
        """What happens here and below, from now on: an Observer, to be iterated or awaited.

        `paths` are of services and supervisors anywhere in the host, from the root's name on, each with what is below
        it; in a name `*` stands for any text, `?` for one character. `kinds` are EventKinds, or their names: those that
        are wanted, all by default. `queue` events may wait to be taken; then the oldest are lost, which is told. The
        last `replay` of the events before come first, as far as the host has kept them. Raises Invalid, Stale, Closed,
        Forked, Os.
        """
        return self._native.events(None, paths or self._own_path(), kinds, queue, replay)

    def on_event(
        self,
        callback: Callable[[_libcoop.ServiceEvent | Lost], object],
        *paths: str,
        kinds: Iterable[str] = (),
        queue: int = 1024,
        replay: int = 0,
    ) -> _libcoop.Observer:
        """Has `callback(event)` called with what `events` would answer, one after another, on a thread of its own.

        It goes on until the host's last event, or until the Observer is closed. What the callback raises is logged.
        """
        if callback is None:
            # Which asks for an observer without one.
            raise TypeError("callback must be callable, not None")
        observer = self._native.events(callback, paths or self._own_path(), kinds, queue, replay)
        self._tree.callbacks.append(observer)
        return observer

    def _own_path(self) -> tuple[str, ...]:
        return (self._native.path(),)

    def _start_child(self, args: tuple[Any, ...], options: Any, waits: bool) -> Any:
        """`start_child`, of the template's or of a child of its own."""
        children = self._tree.templates.get(self._native.id)
        if children is None:
            if len(args) < 2:
                raise Invalid("start_child: allowed are an id, an entry and its arguments, or a template first")
            service = _specs.service(self._tree, args[0], args[1], args[2:], options)
            return self._native.start_child(service, waits)
        if options:
            raise Invalid(f"start_child with {next(iter(options))}: of a template, which has the options")
        return self._native.start_child_with(children(args), waits)

    def _add_supervisor(
        self,
        id: str,
        strategy: Strategy,
        intensity: int | None,
        period: float,
        auto_shutdown: AutoShutdown,
        restart: Restart,
        shutdown: float | str,
        significant: bool,
        waits: bool,
    ) -> Any:
        try:
            return self._native.supervisor(
                _options.text("id", id),
                *_options.flags(strategy, intensity, period, auto_shutdown),
                _options.restart(restart),
                _options.shutdown(shutdown),
                _options.flag("significant", significant),
                waits,
            )
        except Invalid as error:
            raise _named(f"supervisor {id!r}", error) from None

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self._tree is other._tree and self.id == other.id

    def __hash__(self) -> int:
        return hash((type(self), self.id))

    def __repr__(self) -> str:
        return f"<libcoop.{type(self).__name__} {self.id:#x} of host {self._tree.native.name!r}>"


@contextlib.contextmanager
def _naming(child: Child) -> Iterator[None]:
    """A child that is not there is named."""
    try:
        yield
    except Stale as error:
        if "supervisor" in str(error):
            raise
        raise Stale(f"child {child!r}: there is none, or no longer") from None


def _named(what: str, error: Invalid) -> Invalid:
    said = str(error)
    return error if said.startswith(("service ", "supervisor ")) else Invalid(f"{what}: {said}")


class Supervisor(Common):
    """A supervisor of a host: starts its children in order, restarts those that end, and stops them, last first.

    It keeps nothing: when the host has gone, its calls raise Closed. Verbs wait until they are done, without the
    interpreter; Ctrl-C ends a wait, and the verb is carried out all the same. Any thread may call them; a service's
    call that would wait for its own end raises WouldDeadlock.
    """

    def add(self, id: str, entry: _specs.Entry, *args: Any, **options: Unpack[_specs.ServiceOptions]) -> int:
        """Adds a service that comes back whenever this supervisor is restarted; answers its id.

        `entry` is a class with `run(self, ctx)`, which is made with `args` for each run; a function that is called as
        `entry(ctx, *args)`; "module:name" of one; or a program's words as a list. Before the host's start it is only
        noted; after it, it is started, and this waits until it is ready.

        `executor` runs it: PROCESS, THREAD, ASYNC (for `async def` only) or ASYNC_PROCESS. `restart` says when it is
        started again. `shutdown` is how many seconds it may take to stop, "kill" or "infinity". `significant`: its end
        counts for the supervisor's `auto_shutdown`. With `ready="notify"` it says itself that it is ready, within
        `ready_within` seconds. It must call `ctx.beat()` at least every `watchdog` seconds. `backoff` delays its
        restarts; with `park` it rests where its supervisor would give up, with `park_at_start` also if its first start
        fails. `kwargs` are further arguments.

        For processes: `env` (None takes a name out), `cwd`, `umask`, `user`, `group`, `groups`, `limits` by the names
        of `ulimit`, `nice`, `cpus`, `fds` and `listen` to pass on, `new_session`, `stop_signal`; `output` is "prefix",
        "json", "inherit", "null" or a function that is called with each Line, and `tail` how many of the last lines
        the event of its end has; `preload` names modules to import beforehand; `normal_exits` are statuses beside 0
        that are a normal end.

        Raises Invalid for what is not allowed, Exists for an id that is used, Failed and others if it cannot start:
        then nothing is kept of it; Closed, WouldDeadlock, Forked.
        """
        service = _specs.service(self._tree, id, entry, args, options)
        return self._tree.block(lambda waits: self._native.add(service, waits))  # type: ignore[no-any-return]

    def supervisor(
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
    ) -> Supervisor:
        """Adds a supervisor below this one, and answers it.

        More than `intensity` restarts (None: any number) within `period` seconds are too many: it stops its children
        and ends. Raises as `add`.
        """
        added = self._tree.block(
            lambda waits: self._add_supervisor(
                id, strategy, intensity, period, auto_shutdown, restart, shutdown, significant, waits
            )
        )
        return Supervisor(self._tree, self._native.of(added))

    def start_child(self, *args: Any, **options: Unpack[_specs.ServiceOptions]) -> int:
        """Starts a child as `add` does, one that lives as long as this run of the supervisor; answers its id.

        Under SIMPLE_ONE_FOR_ONE it is one of the template, and `args` are added to the template's arguments.
        """
        return self._tree.block(lambda waits: self._start_child(args, options, waits))  # type: ignore[no-any-return]

    def terminate_child(self, child: Child) -> None:
        """Stops a child, waits until it has ended, and keeps its specification, but for a temporary one's.

        Raises Stale if there is no such child, and as `add`.
        """
        with _naming(child):
            self._tree.block(lambda waits: self._native.terminate_child(child, waits))

    def restart_child(self, child: Child) -> None:
        """Starts a child that does not run, and waits until it is ready.

        Raises Stale if there is no such child, Invalid if it runs or is restarting, and as `add`.
        """
        with _naming(child):
            self._tree.block(lambda waits: self._native.restart_child(child, waits))

    def delete_child(self, child: Child) -> None:
        """Removes the specification of a child that does not run, for good. Raises as `restart_child`."""
        with _naming(child):
            self._tree.block(lambda waits: self._native.delete_child(child, waits))

    def replace_child(self, child: Child) -> None:
        """Hand-over: starts a new run of a child, and stops the old one when the new one is ready.

        If it does not get ready the old one goes on, and why is raised. Raises as `terminate_child`.
        """
        with _naming(child):
            self._tree.block(lambda waits: self._native.replace_child(child, waits))
