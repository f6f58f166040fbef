"""The client's main thread: joins, runs the three ports, watches the clock, prints the result.

Guarantees: it ends by itself with status 0 and the result, or 1 and one line that says what did not come; a silent
server is noticed after client_timeout; after Ctrl-C it prints what was measured so far and ends with 130.
"""

from __future__ import annotations

import signal
import sys
import time
from typing import Any

import libcoop
from libcoop import EventLoop, Mode, Port, PortSet

from .client_ports import ClientControl, ClientPort, ClientUpload
from .config import Config
from .events import Event, Mailbox, What
from .joining import Joined, JoinError, join
from .packet import Reason, Result
from .ports import BUFFER_BYTES, CONTROL, DOWNLOAD, UPLOAD, Terms
from .report import Figures, result_lines, write_report
from .server import mode_of, os_reason

_GRAIN = 0.01  # seconds: a look at the clock is behind what it looks for
_STOPPED = 1.0  # seconds by which a timer is late only if the process did not run


class Client:
    """One run of the client."""

    def __init__(self, config: Config, target: tuple[str, int], bwup: bool, report: str | None) -> None:
        self._config = config
        self._target = target
        self._bwup = bwup
        self._report = report
        self._mode = mode_of(config.port_parallelability)
        self._figures = Figures()
        self._trouble: str | None = None
        self._result: Result | None = None
        self._sent: dict[str, Any] | None = None
        self._joined_at = self._heard = 0.0  # monotonic seconds
        self._result_due = self._watch_due = 0.0
        self._loop: EventLoop | None = None

    def run(self) -> int:
        """The exit status."""
        interrupted = False
        try:
            print(f"Connecting to server {self._target[0]}:{self._target[1]}", flush=True)
            joined = join(self._target, self._config.test_drop_rate)
            if joined.bad_answers:
                self._figures.dropped[Reason.BAD_ANSWER] += joined.bad_answers
            print("Ports: control {}, upload {}, download {}".format(*joined.ports), flush=True)
            self._run_ports(joined)
        except JoinError as error:
            self._trouble = str(error)
        except (libcoop.Error, OSError) as error:
            self._trouble = os_reason(error)
        except KeyboardInterrupt:
            interrupted = True
        return self._finish(interrupted)

    def _run_ports(self, joined: Joined) -> None:
        loop = self._loop = EventLoop()
        mailbox = Mailbox(loop, self._deliver)
        terms = Terms(0, joined.host, joined.key, self._config)
        kinds = {CONTROL: ClientControl, UPLOAD: ClientUpload, DOWNLOAD: ClientPort}
        ports = [
            Port(name, kind, (terms, mailbox, self._bwup), bind=(joined.local, 0), connect=(joined.host, port))
            for (name, kind), port in zip(kinds.items(), joined.ports, strict=True)
        ]
        port_set = PortSet(
            ports, mode=self._mode, loop=loop if self._mode is Mode.SINGLE else None, buffer_bytes=BUFFER_BYTES
        )
        try:
            port_set.start()
            self._joined_at = self._heard = time.monotonic()
            self._watch_later()
            loop.run()
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is ending: once more changes nothing
            loop.stop()
            port_set.stop()
            mailbox.drain()
            loop.close()

    # On the loop's thread.

    def _deliver(self, event: Event) -> None:
        if event.what is What.SUMMARY:
            self._figures.add(event.port, event.detail)
            return
        if event.what is not What.SENT:  # which a timer tells, not the server
            self._heard = time.monotonic()
        match event.what:
            case What.LATENCY if not self._bwup or self._config.test_verbose:
                print(f"Latency {event.port}: {event.detail:.3f} ms", flush=True)
            case What.STARTED:
                self._result_due = self._heard + event.detail + self._config.client_timeout
            case What.SENT:
                self._sent = event.detail
            case What.RESULT:
                self._have_result(event.detail)

    def _have_result(self, result: Result) -> None:
        self._result = result
        for line in result_lines(result):
            print(line, flush=True)
        assert self._loop is not None
        self._loop.call_later(self._config.ack_time / 1000, self._loop.stop)

    def _watch(self) -> None:
        if self._result is not None:
            return  # the server may be gone by now
        now, limit = time.monotonic(), self._config.client_timeout
        if now - self._watch_due > _STOPPED:  # this process stood still: what came meanwhile has not been read yet
            self._heard = self._joined_at = now
            if self._result_due:
                self._result_due = max(self._result_due, now + limit)
        if now - self._heard > limit:
            self._fail(f"the server {self._target[0]}:{self._target[1]} has been silent for {limit:g} s")
        elif self._result_due and now > self._result_due:
            self._fail(f"no TEST_RESULT within {limit:g} s of the end of the test")
        elif self._bwup and not self._result_due and now - self._joined_at > limit:
            self._fail(f"BWUP was not acknowledged within {limit:g} s")
        else:
            self._watch_later()

    def _watch_later(self) -> None:
        """At the next moment at which something can be overdue."""
        assert self._loop is not None
        limit = self._config.client_timeout
        ends = self._heard + limit
        if self._result_due:
            ends = min(ends, self._result_due)
        elif self._bwup:
            ends = min(ends, self._joined_at + limit)
        now = time.monotonic()
        wait = max(ends - now, 0.0) + _GRAIN
        self._watch_due = now + wait
        self._loop.call_later(wait, self._watch)

    def _fail(self, trouble: str) -> None:
        self._trouble = trouble
        assert self._loop is not None
        self._loop.stop()

    # The end.

    def _finish(self, interrupted: bool) -> int:
        if self._joined_at and (not self._bwup or self._config.test_verbose or interrupted):
            for line in self._figures.lines():
                print(line)
        sys.stdout.flush()
        if self._trouble is not None:
            print(self._trouble, file=sys.stderr)
        if self._report is not None:
            trouble = write_report(self._report, self._contents())
            if trouble is not None:
                print(trouble, file=sys.stderr)
                return 130 if interrupted else 1
        if interrupted:
            return 130
        return 0 if self._trouble is None else 1

    def _contents(self) -> dict[str, Any]:
        return {
            "role": "client",
            "mode": self._mode.name,
            "error": self._trouble,
            "sent": self._sent,
            "result": self._result._asdict() if self._result is not None else None,
        } | self._figures.as_json()
