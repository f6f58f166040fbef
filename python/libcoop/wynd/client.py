"""The client's main thread: joins, runs the three ports, watches the clock, prints the results.

Guarantees: it ends by itself with status 0 and the results, or 1 and one line that says what did not come; a silent
server is noticed after client_timeout; after Ctrl-C it prints what was measured so far and ends with 130.
"""

from __future__ import annotations

import signal
import sys
import time
from typing import Any

import libcoop
from libcoop import EventLoop, PortSet

from .cli import Options
from .display import Display, make_display
from .events import Direction, Event, What
from .joining import Joined, JoinError, join
from .mailbox import Mailbox
from .packet import Reason
from .ports import CONTROL, DOWNLOAD, UPLOAD, Terms
from .report import Figures, result_lines, write_outputs
from .sets import make_set, mode_of, os_reason, port_of

_GRAIN = 0.01  # seconds: a look at the clock is behind what it looks for
_STOPPED = 1.0  # seconds by which a timer is late only if the process did not run
_REQUEST = {Direction.UPLOAD: "BWUP", Direction.DOWNLOAD: "BWDOWN"}
HANDLERS = {
    CONTROL: "libcoop.wynd.client_control:ClientControl",
    UPLOAD: "libcoop.wynd.client_ports:ClientUpload",
    DOWNLOAD: "libcoop.wynd.client_ports:ClientDownload",
}


class Client:
    """One run of the client."""

    def __init__(self, options: Options) -> None:
        self._config = options.config
        self._target = options.target
        self._wanted = options.tests
        self._outputs = options.outputs
        self._mode = mode_of(options.config.port_parallelability)
        self._figures = Figures()
        self._trouble: str | None = None
        self._tests = {direction: _record(direction, options.config.duration) for direction in self._wanted}
        self._results = 0
        self._joined_at = self._heard = 0.0  # monotonic seconds
        self._asked_at = self._result_due = self._watch_due = 0.0
        self._loop: EventLoop | None = None
        self._set: PortSet | None = None
        self._display: Display

    def run(self) -> int:
        """The exit status."""
        interrupted = False
        latencies = not self._wanted or self._config.test_verbose
        self._display = make_display(self._outputs.json, server=False, latencies=latencies)
        try:
            self._say(f"Connecting to server {self._target[0]}:{self._target[1]}")
            joined = join(self._target, self._config.test_drop_rate)
            if joined.bad_answers:
                self._figures.dropped[Reason.BAD_ANSWER] += joined.bad_answers
            self._say("Ports: control {}, upload {}, download {}".format(*joined.ports))
            self._run_ports(joined)
        except JoinError as error:
            self._trouble = str(error)
        except (libcoop.Error, OSError) as error:
            self._trouble = os_reason(error)
        except KeyboardInterrupt:
            interrupted = True
        finally:
            self._display.close()
        return self._finish(interrupted)

    def _say(self, text: str) -> None:
        if not self._outputs.json:
            self._display.line(text)

    def _run_ports(self, joined: Joined) -> None:
        loop = self._loop = EventLoop()
        mailbox = Mailbox(loop, self._deliver)
        terms = Terms(0, joined.host, joined.key, self._config)
        ports = [
            port_of(
                name, HANDLERS[name], terms, mailbox, self._wanted, bind=(joined.local, 0), connect=(joined.host, port)
            )
            for name, port in zip(HANDLERS, joined.ports, strict=True)
        ]
        port_set = make_set(ports, self._mode, loop, mailbox, "wynd")
        try:
            port_set.start()
            self._joined_at = self._heard = self._asked_at = time.monotonic()
            self._watch_later()
            loop.run()
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is ending: once more changes nothing
            loop.stop()
            port_set.stop()
            mailbox.drain()
            mailbox.close()
            loop.close()

    # On the loop's thread.

    def _deliver(self, event: Event) -> None:
        what, detail = event.what, event.detail
        if what is What.SUMMARY:
            self._figures.add(event.port, detail)
            return
        if what not in (What.SENT, What.PROGRESS):  # which a timer tells, not the server
            self._heard = time.monotonic()
        match what:
            case What.LATENCY:
                self._figures.series.latency(event.port, detail)
                self._display.latency(event.port, detail)
            case What.STARTED:
                self._result_due = self._heard + detail.duration + self._config.client_timeout
                self._tests[detail.direction]["started"] = True
                self._display.started(0, detail)
            case What.PROGRESS:
                rate = self._figures.series.progress(0, detail)
                if rate is not None:
                    self._display.progress(0, detail.direction, rate)
            case What.SENT:
                self._tests[detail[0]]["sent"] = detail[1]
            case What.RESULT:
                self._have_result(*detail)
            case What.ACKED if self._results == len(self._wanted):
                self._stop()

    def _have_result(self, direction: Direction, channel: int, result: dict[str, Any]) -> None:
        if self._tests[direction]["result"] is not None:
            return
        self._tests[direction]["result"] = result
        self._figures.series.ended(0, direction)
        self._display.ended(0, direction)
        for line in result_lines(direction, result):
            self._say(line)
        self._results += 1
        self._asked_at, self._result_due = self._heard, 0.0
        if self._results == len(self._wanted) and self._loop is not None:
            self._loop.call_later(self._config.ack_time / 1000, self._stop)

    def _stop(self) -> None:
        if self._loop is not None:
            self._loop.stop()

    def _watch(self) -> None:
        if self._wanted and self._results == len(self._wanted):
            return  # the server may be gone by now
        now, limit = time.monotonic(), self._config.client_timeout
        if now - self._watch_due > _STOPPED:  # this process stood still: what came meanwhile has not been read yet
            self._heard = self._asked_at = now
            if self._result_due:
                self._result_due = max(self._result_due, now + limit)
        if now - self._heard > limit:
            self._fail(f"the server {self._target[0]}:{self._target[1]} has been silent for {limit:g} s")
        elif self._result_due and now > self._result_due:
            self._fail(f"no TEST_RESULT within {limit:g} s of the end of the test")
        elif self._wanted and not self._result_due and now - self._asked_at > limit:
            direction = self._wanted[self._results]
            hint = "" if direction is Direction.UPLOAD else ": the server may have no download test"
            self._fail(f"{_REQUEST[direction]} was not acknowledged within {limit:g} s{hint}")
        else:
            self._watch_later()

    def _watch_later(self) -> None:
        """At the next moment at which something can be overdue."""
        assert self._loop is not None
        limit = self._config.client_timeout
        ends = self._heard + limit
        if self._result_due:
            ends = min(ends, self._result_due)
        elif self._wanted:
            ends = min(ends, self._asked_at + limit)
        now = time.monotonic()
        wait = max(ends - now, 0.0) + _GRAIN
        self._watch_due = now + wait
        self._loop.call_later(wait, self._watch)

    def _fail(self, trouble: str) -> None:
        self._trouble = trouble
        self._stop()

    # The end.

    def _finish(self, interrupted: bool) -> int:
        if self._joined_at and (not self._wanted or self._config.test_verbose or interrupted):
            for line in self._figures.lines():
                self._say(line)
        sys.stdout.flush()
        if self._trouble is not None:
            print(self._trouble, file=sys.stderr)
        written = write_outputs(self._outputs, self._contents(interrupted), self._figures.series, self._title())
        if interrupted:
            return 130
        return 0 if self._trouble is None and written else 1

    def _title(self) -> str:
        return f"wynd client of {self._target[0]}:{self._target[1]}, {self._mode.name}"

    def _contents(self, interrupted: bool) -> dict[str, Any]:
        return {
            "version": libcoop.__version__,
            "role": "client",
            "mode": self._mode.name,
            "server": f"{self._target[0]}:{self._target[1]}",
            "error": self._trouble,
            "interrupted": interrupted,
            "tests": list(self._tests.values()),
        } | self._figures.as_json()


def _record(direction: Direction, duration: float) -> dict[str, Any]:
    return {"direction": direction, "duration": duration, "started": False, "sent": None, "result": None}
