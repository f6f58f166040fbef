"""One name for one thing: what a function is called in C is its name in Rust, C++ and Python, or it stands here with
the reason."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import libcoop
import pytest
from libcoop import _libcoop

ROOT = Path(__file__).resolve().parents[2]
FUNCTIONS = (ROOT / "ffi" / "coop.symbols").read_text().split()


class Type(NamedTuple):
    """One type of the library: its classes on each surface, and where Rust has them."""

    rust: tuple[str, tuple[str, ...]]
    cpp: tuple[str, ...]
    python: tuple[type, ...]


TYPES = {
    "pool": Type(("pool", ("Pool", "Handle")), ("pool", "pool_ref"), (libcoop.Pool,)),
    "event_loop": Type(("event_loop", ("EventLoop", "Handle")), ("event_loop", "event_loop_ref"), (libcoop.EventLoop,)),
    "runtime": Type(("runtime.rs", ("Runtime",)), ("runtime",), (libcoop.Runtime,)),
    "port_set": Type(("port", ("PortSet",)), ("port_set",), (libcoop.PortSet,)),
    "port_context": Type(("port", ("Context",)), ("port_context",), (libcoop.PortContext,)),
    "host": Type(("supervisor", ("Host", "Supervisor")), ("host",), (libcoop.Host,)),
    "supervisor": Type(("supervisor/supervisor.rs", ("Supervisor",)), ("supervisor",), (libcoop.Supervisor,)),
    "service_context": Type(("supervisor/context.rs", ("Context",)), ("service_context",), (libcoop.Context,)),
    "workers": Type(("supervisor/worker", ("Workers",)), ("workers",), ()),
    "parent_observer": Type(("supervisor", ("Observer",)), ("parent_observer",), ()),
    "systemd": Type(("supervisor/systemd.rs", ("Systemd",)), ("systemd",), ()),
    "observer": Type(("supervisor/observer.rs", ("Observer",)), ("observer",), (libcoop.Observer,)),
    "timer": Type(("event_loop", ("Handle",)), ("timer",), (libcoop.Timer,)),
    "io_watch": Type(("event_loop", ("Handle",)), ("io_watch",), (libcoop.Watch,)),
    "task": Type(("pool", ("Task",)), ("task_handle",), ()),
    "stream": Type(("event_loop/stream", ("Stream",)), ("stream",), (libcoop.Stream,)),
    "listener": Type(("event_loop/stream", ("Listener", "Handle")), ("listener",), (libcoop.Listener,)),
    "udp": Type(("event_loop/udp", ("UdpSocket",)), ("udp",), (libcoop.UdpSocket,)),
    "event": Type(("event_loop/event.rs", ("Event",)), ("event",), (libcoop.Event,)),
    "async": Type(("event_loop/async_signal.rs", ("AsyncSignal", "Handle")), ("async",), (libcoop.Async,)),
    "child": Type(("event_loop/child.rs", ("Handle",)), ("child",), ()),
    "dag": Type(("dag", ("Graph",)), ("dag",), (libcoop.Dag,)),
    "dag_builder": Type(("dag", ("Builder",)), ("dag_builder",), (libcoop.Dag,)),
    "dag_run": Type(("dag", ("Run",)), ("dag_run",), (libcoop.DagRun,)),
    "dag_call": Type(("dag", ("Call",)), ("dag_call",), ()),
    "dag_completer": Type(("dag", ("Completer",)), ("dag_completer",), ()),
    "dag_outcome": Type(("dag", ("Outcome",)), ("dag_outcome",), (libcoop.DagOutcome,)),
    "redis": Type(("net/redis", ("Client",)), ("redis",), ()),
    "redis_reply": Type(("net/redis/reply.rs", ("Reply",)), ("redis_reply", "redis_view"), ()),
    "redis_subscriber": Type(("net/redis", ("Subscriber", "Client")), ("redis_subscriber",), ()),
    "signal": Type(("event_loop/signal", ("Handle",)), ("signal",), (libcoop.Signal,)),
}
# Functions of no type: texts and numbers that each language has its own way for.
FREE = {
    "coop_status_str": "Error::name, std::error_code::message, the exception's class",
    "coop_last_error": "the error itself, elsewhere",
    "coop_last_os_errno": "part of the error, elsewhere",
    "coop_version": "CARGO_PKG_VERSION, coop::version, libcoop.__version__",
    "coop_version_check": "coop::version_check; Rust and Python are not compiled apart from the library",
    "coop_api_get": "the functions as a table, for C handlers: coop::api, coop_api in Python",
    "coop_port_handler_load": "coop::native in Rust, coop::port::load, Port(handler) in Python",
    "coop_port_worker_main": "Handlers::run in Rust, coop::port_handlers::run, Python's workers are made by forking",
    "coop_set_log": "tracing in Rust, coop::set_log, logging in Python",
    "coop_address_parse": "SocketAddr in Rust, coop::address::parse, a tuple in Python",
    "coop_address_text": "SocketAddr in Rust, coop::address::text, a tuple in Python",
}
# (type, verb) in C: {surface: (the name there, or None if it has none; why)}.
OTHERWISE: dict[tuple[str, str], dict[str, tuple[str | None, str]]] = {
    ("pool", "worker_cpu"): {
        "rust": ("worker_cpus", "all at once: a list"),
        "python": (None, "an executor's workers have no numbers"),
    },
    ("pool", "is_worker_thread"): {"python": (None, "a function of an executor does not ask where it runs")},
    ("pool", "may_run_here"): {"python": (None, "a function of an executor does not ask where it runs")},
    ("pool", "submit_task"): {"python": ("submit", "what submit answers is a Future, to wait for and to cancel")},
    ("pool", "submit_batch"): {"python": ("map", "an executor's call of one function with many arguments")},
    ("pool", "parallel_for"): {"python": ("map", "an executor's call of one function with many arguments")},
    ("pool", "worker_stats"): {"python": ("stats", "all at once: PoolStats.workers")},
    ("pool", "close"): {"python": ("shutdown", "concurrent.futures: shutdown(wait=False)")},
    ("pool", "join"): {"python": ("shutdown", "concurrent.futures: shutdown(wait=True)")},
    ("event_loop", "timer"): {"python": ("call_later", "asyncio's name")},
    ("event_loop", "interrupt"): {"python": (None, "Ctrl-C is how a run is interrupted; stop ends it")},
    ("event_loop", "is_loop_thread"): {"python": (None, "threading.get_ident is compared")},
    ("port_set", "address"): {
        "rust": ("addresses", "all at once: Rust and Python return maps"),
        "python": ("addresses", "all at once: Rust and Python return maps"),
    },
    ("port_set", "path"): {
        "rust": ("bound", "all at once, and addresses of both kinds"),
        "python": ("addresses", "all at once: an address is a tuple, or a path"),
    },
    ("port_context", "path"): {
        "rust": ("address", "an address of either kind"),
        "python": ("address", "a tuple, or a path"),
    },
    ("port_context", "send"): {
        "rust": ("sendto", "send is a message to another port"),
        "python": ("sendto", "send is a message to another port"),
    },
    ("port_context", "send_message"): {
        "rust": ("send", "datagrams go by sendto"),
        "python": ("send", "datagrams go by sendto"),
    },
    ("port_set", "send_message"): {
        "rust": ("send", "a set sends nothing else"),
        "python": ("send", "a set sends nothing else"),
    },
    ("task", "release"): {"rust": (None, "a Task that is dropped runs on")},
    ("event_loop", "timer_local"): {
        "python": (None, "a call of the interpreter costs more than the lock that it saves")
    },
    ("timer", "cancel"): {"rust": ("cancel_timer", "an id is the loop's to cancel")},
    ("timer", "cancel_local"): {
        "rust": ("cancel_timer_local", "an id is the loop's to cancel"),
        "python": (None, "a call of the interpreter costs more than the lock that it saves"),
    },
    ("timer", "ref"): {"rust": ("set_timer_ref", "one call for both")},
    ("timer", "unref"): {"rust": ("set_timer_ref", "one call for both")},
    ("io_watch", "ref"): {"rust": ("set_watch_ref", "one call for both")},
    ("io_watch", "unref"): {"rust": ("set_watch_ref", "one call for both")},
    ("io_watch", "cancel"): {"rust": ("cancel_watch", "an id is the loop's to cancel")},
    ("io_watch", "set_interest"): {
        "rust": ("set_watch_interest", "an id is the loop's to change"),
        "python": (None, "a watch is cancelled, and made anew"),
    },
    ("child", "cancel"): {"rust": ("cancel_child", "an id is the loop's to cancel")},
    ("signal", "cancel"): {"rust": ("cancel_signal", "an id is the loop's to cancel")},
    ("event", "fd"): {"rust": (None, "AsFd"), "python": ("fileno", "what selectors ask for")},
    ("udp", "receive_times"): {
        "rust": (None, "Datagrams::received_at"),
        "python": (None, "Datagram.received_ns"),
    },
    ("stream", "read_exactly"): {"rust": ("read_exact", "std::io::Read's name")},
    ("stream", "write"): {"rust": ("write_all", "write answers how much the system took")},
    ("stream", "cancel"): {
        "rust": (None, "a future that is dropped"),
        "python": (None, "a future that is cancelled"),
    },
    ("stream", "try_read"): {"python": (None, "read answers at once what is there")},
    ("stream", "try_write"): {"python": (None, "write writes at once what there is room for")},
    ("stream", "send_descriptors"): {"rust": ("send_with_fds", "as of owned descriptors")},
    ("stream", "receive_descriptors"): {"rust": ("recv_with_fds", "as of owned descriptors")},
    ("stream", "local_address"): {"rust": ("local_addr", "as std::net::TcpStream")},
    ("stream", "peer_address"): {"rust": ("peer_addr", "as std::net::TcpStream")},
    ("stream", "fd"): {"rust": (None, "AsFd and AsRawFd"), "python": ("fileno", "what selectors ask for")},
    ("listener", "cancel"): {
        "rust": (None, "a future that is dropped"),
        "python": (None, "a future that is cancelled"),
    },
    ("listener", "address"): {
        "rust": ("local_addr", "as std::net::TcpListener"),
        "python": ("local_address", "as of a stream"),
    },
    ("listener", "fd"): {"rust": (None, "AsFd and AsRawFd"), "python": ("fileno", "what selectors ask for")},
    ("dag", "index"): {"python": (None, "nodes go by their names")},
    ("dag", "name"): {"python": ("names", "all at once")},
    ("dag", "len"): {"python": ("__len__", "len(dag)")},
    ("dag_builder", "cpu"): {"python": ("node", "a plain function")},
    ("dag_builder", "io"): {"python": ("node", "a coroutine function")},
    ("dag_run", "join"): {"python": ("result", "as of every future")},
    ("dag_run", "then"): {"python": ("add_done_callback", "as of every future")},
    ("dag_outcome", "failure"): {"python": ("errors", "all at once: a dict")},
    ("dag_outcome", "result"): {"python": ("error", "DagRun.result raises it")},
    ("dag_outcome", "trace"): {"python": (None, "DagRun.trace")},
    ("dag_outcome", "take"): {"python": ("__getitem__", "results are shared")},
    ("dag_outcome", "value"): {"python": ("__getitem__", "results are shared")},
    ("dag_run", "release"): {
        "rust": (None, "a Run that is dropped goes on"),
        "python": (None, "a run that is let go of goes on"),
    },
    ("supervisor", "supervisor"): {"cpp": ("supervisor_", "the class's own name is its constructor's")},
    ("supervisor", "template"): {"cpp": ("template_", "a word that C++ keeps for itself")},
    ("supervisor", "start_child_with"): {"python": ("start_child", "of the template, if there is one")},
    ("host", "observe"): {"python": (None, "events: an iterator")},
    ("service_context", "stopping_fd"): {
        "rust": ("stop_fd", "stopping is what a coroutine waits for"),
        "python": ("stopping", "an event that coroutines await"),
    },
    ("service_context", "wait_stopping"): {"python": ("stopping", "ctx.stopping.wait()")},
    ("service_context", "event_loop"): {"python": (None, "a coroutine has asyncio's")},
    ("service_context", "value"): {
        "rust": ("args", "text or a value"),
        "python": (None, "the entry's arguments"),
    },
    ("service_context", "argv"): {
        "rust": ("args", "text or a value"),
        "python": (None, "the entry's arguments"),
    },
    ("systemd", "watchdog"): {"rust": (None, "a function of the module: no manager is needed")},
    ("systemd", "listen_fds"): {"rust": (None, "a function of the module: no manager is needed")},
    ("service_context", "end"): {
        "rust": (None, "what the function answers"),
        "python": (None, "the function returns or raises"),
    },
    ("observer", "cancel"): {
        "rust": ("close", "an observer is an object there"),
        "python": ("close", "what a `with` block does at its end"),
    },
    ("dag_call", "value"): {"rust": ("next", "each is taken, in its order")},
    ("dag_call", "take"): {"rust": ("next", "each is taken, in its order; the last reader's Arg gives it away")},
    ("dag_call", "is_ended"): {"rust": ("control", "a Control is asked, and may be cloned")},
    ("dag_call", "cancel"): {"rust": ("control", "a Control cancels, and may be cloned")},
    ("dag_call", "fail"): {"rust": (None, "the function's Result is a Failure")},
    ("dag_completer", "fail"): {"rust": ("complete", "with a Result")},
    ("dag_completer", "on_cancel"): {"rust": (None, "Builder::io: a future that is dropped")},
    ("dag_outcome", "cause"): {
        "rust": ("failure", "Failure::cause"),
        "python": ("errors", "all at once: a dict"),
    },
    ("redis", "call"): {"rust": ("command", "a Call, which a plain thread waits for")},
    ("redis", "subscribe"): {
        "rust": ("subscriber", "a Subscriber subscribes"),
        "cpp": ("subscriber", "a redis_subscriber subscribes"),
    },
    ("redis", "unsubscribe"): {
        "rust": ("subscriber", "a Subscriber unsubscribes"),
        "cpp": ("subscriber", "a redis_subscriber unsubscribes"),
    },
    ("redis_reply", "type"): {"rust": ("kind", "a word that Rust keeps for itself")},
    ("redis_reply", "integer"): {"rust": ("as_int", "as serde_json::Value")},
    ("redis_reply", "double"): {
        "rust": ("as_double", "as serde_json::Value"),
        "cpp": ("number", "a word that C++ keeps for itself"),
    },
    ("redis_reply", "string"): {"rust": ("as_bytes", "they may be no UTF-8")},
    ("redis_reply", "error_code"): {"rust": ("as_error", "ServerError::code")},
    ("redis_reply", "length"): {"rust": ("as_array", "a slice"), "cpp": ("size", "as of containers")},
    ("redis_reply", "at"): {"rust": ("as_array", "a slice"), "cpp": (None, "operator[]")},
    ("redis_reply", "pairs"): {"rust": ("into_pairs", "all at once")},
    ("redis_reply", "key"): {"rust": ("into_pairs", "all at once")},
    ("redis_reply", "value"): {"rust": ("into_pairs", "all at once")},
    ("redis_reply", "keep"): {"rust": (None, "a reply is a value")},
    ("udp", "local_address"): {"rust": ("local_addr", "as std::net::UdpSocket")},
    ("udp", "fd"): {"rust": (None, "AsFd and AsRawFd"), "python": ("fileno", "what selectors ask for")},
}
# Where that name is there too, and is something else.
SOMETHING_ELSE = {("supervisor", "supervisor"), ("port_context", "send"), ("stream", "write")}
# How objects begin and end: C's two verbs, and those of the languages that have constructors.
LIFE = {
    "new": {
        "rust": ("new", "bind", "from_fd", "listen", "async_signal", "of_parent"),
        "cpp": ("create",),
        "python": ("__new__", "__init__"),
    },
    "free": {"rust": ("drop",), "cpp": ("free",), "python": ("close", "shutdown", "__exit__")},
}

# Types without a drop of their own in Rust: what they are made of has one.
PLAIN = {"dag", "dag_builder", "redis", "redis_reply"}
# Those that Python's collector ends, for nothing runs behind them.
COLLECTED = {"dag", "dag_builder", "dag_run", "dag_outcome"}


def typed(function: str) -> tuple[str, str] | None:
    """The type and the verb of a C function: the longest type's name that it begins with."""
    name = function.removeprefix("coop_")
    fitting = [known for known in TYPES if name.startswith(known + "_")]
    if not fitting:
        return None
    owner = max(fitting, key=len)
    return owner, name.removeprefix(owner + "_")


def in_rust(where: str, classes: tuple[str, ...]) -> set[str]:
    """The public methods; rustfmt puts each where this looks."""
    place = ROOT / "core" / "src" / where
    found: set[str] = set()
    for file in [place] if place.is_file() else place.rglob("*.rs"):
        text = file.read_text()
        for owner, body in re.findall(r"^impl(?:<[^\n]*?>)? (\w+)(?:<[^\n]*?>)? \{\n(.*?)^\}", text, re.M | re.S):
            if owner in classes:
                found.update(re.findall(r"^    pub (?:async |const |unsafe )*fn (\w+)", body, re.M))
        # A descriptor's owner needs no drop of its own.
        for owner in re.findall(r"^impl(?:<.*?>)? (?:Drop|AsRawFd) for (\w+)", text, re.M):
            found.update({"drop"} if owner in classes else ())
    return found


def in_cpp(classes: tuple[str, ...]) -> set[str]:
    """The public methods of include/coop/*.hpp."""
    found: set[str] = set()
    for file in (ROOT / "include" / "coop").glob("*.hpp"):
        for owner, body in re.findall(r"^class (\w+)[^;{]*\{\n(.*?)^\};", file.read_text(), re.M | re.S):
            if owner in classes:
                public = re.sub(r"^(private|protected):\n.*?(?=^public:|\Z)", "", body, flags=re.M | re.S)
                found.update(re.findall(r"^    [^\s/*].*?\b(\w+)\(", public, re.M))
    return found


def in_python(classes: tuple[type, ...]) -> set[str]:
    return {name for one in classes for name in dir(one)}


def names(surface: str, owner: str) -> set[str] | None:
    """Every public name of a type on a surface; None if the type is not there at all."""
    there = TYPES[owner]
    if surface == "rust":
        return in_rust(*there.rust)
    if surface == "cpp":
        return in_cpp(there.cpp)
    return in_python(there.python) if there.python else None


def test_every_function_is_of_a_type_or_listed() -> None:
    assert {function for function in FUNCTIONS if typed(function) is None} == set(FREE)


@pytest.mark.parametrize("surface", ["rust", "cpp", "python"])
def test_functions_have_one_name(surface: str) -> None:
    wrong = []
    for owner, verb in filter(None, map(typed, FUNCTIONS)):
        there = names(surface, owner)
        if there is None:
            continue
        assert there, f"nothing of {owner} was found in {surface}"
        otherwise = OTHERWISE.get((owner, verb), {}).get(surface)
        if verb == "free" and owner in {"rust": PLAIN, "python": COLLECTED}.get(surface, ()):
            continue
        if verb in LIFE:
            if not there.intersection(LIFE[verb][surface]):
                wrong.append(f"{owner}: none of {LIFE[verb][surface]}")
        elif otherwise is None:
            if verb not in there:
                wrong.append(f"{owner}: no {verb}")
        elif verb in there and (owner, verb) not in SOMETHING_ELSE:
            wrong.append(f"{owner}: has {verb} after all; strike it from OTHERWISE")
        elif otherwise[0] is not None and otherwise[0] not in there:
            wrong.append(f"{owner}: no {otherwise[0]}, which stands for {verb}")
    assert not wrong, f"{surface}: {wrong}"


def test_what_is_listed_is_a_function() -> None:
    assert {pair for pair in OTHERWISE if f"coop_{pair[0]}_{pair[1]}" not in FUNCTIONS} == set()


def test_errors_have_one_name_and_one_number() -> None:
    header = dict(re.findall(r"^#define COOP_E_(\w+) (-\d+)$", (ROOT / "include" / "coop.h").read_text(), re.M))
    body = re.findall(
        r"enum class errc : coop_status \{\n(.*?)\};", (ROOT / "include" / "coop" / "errc.hpp").read_text(), re.S
    )
    cpp = dict(re.findall(r"(\w+) = COOP_E_(\w+)", body[0]))
    # Rust's table is the module's, which has the exceptions' names.
    table = {in_c: (name, number) for name, in_c, number in _libcoop.ERRORS}
    assert {name: int(number) for name, number in header.items()} == {
        name: number for name, (_, number) in table.items()
    }
    assert cpp == {name.lower(): name for name in table}
    for in_c, (name, _) in table.items():
        assert re.sub(r"(?<!^)(?=[A-Z])", "_", name).upper() == in_c
        assert issubclass(getattr(libcoop, name), libcoop.Error)
