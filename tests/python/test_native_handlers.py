"""Handlers of ports that are C: "path/lib.so:symbol", and the table of functions that they are given."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import libcoop
import pytest
from libcoop import Failed, Handler, Mode, Port, PortContext
from portkit import DEADLINE, ROOT, Make, Run, Tell, Told, compiled, get, run_in

ODD = """
#include <coop.h>
#include <string.h>

coop_status refuses(const coop_api *api, const void *args, size_t length, coop_port_handler *out) {
    (void)api, (void)args, (void)length, (void)out;
    return COOP_E_QUEUE_FULL;
}

coop_status later(const coop_api *api, const void *args, size_t length, coop_port_handler *out) {
    struct { coop_port_handler known; size_t more; } filled;
    (void)api, (void)args, (void)length;
    memset(&filled, 1, sizeof filled);
    filled.known.size = sizeof filled;
    memcpy(out, &filled, sizeof filled);
    return COOP_OK;
}

coop_status empty(const coop_api *api, const void *args, size_t length, coop_port_handler *out) {
    (void)api, (void)args, (void)length;
    out->size = sizeof *out;
    return COOP_OK;
}
"""


def test_a_native_handler_answers(library: str, make: Make, peer: socket.socket) -> None:
    ports = make(Port("a", f"{library}:echo_handler", [b"echo: "]), Port("b", f"{library}:echo_handler"))
    for name, prefix in (("a", b"echo: "), ("b", b"")):
        for data in (b"hello", b"", bytes(range(256)) * 100):
            peer.sendto(data, ports.addresses[name])
            assert peer.recvfrom(1 << 16) == (prefix + data, ports.addresses[name])
    # What was sent is counted when it has left: the peer may have it a moment before.
    ports.stop(DEADLINE)
    assert ports.stats()["a"].sent == 3


@pytest.mark.parametrize("mode", [Mode.SINGLE, Mode.THREAD, Mode.PROCESS])
def test_a_native_handler_takes_connections_without_the_interpreter(library: str, mode: Mode) -> None:
    port = Port("echo", f"{library}:echo_handler", [b"echo: "], listen=("127.0.0.1", 0))
    with libcoop.EventLoop() as loop:
        loop.start()
        with (
            libcoop.PortSet([port], mode=mode, loop=loop if mode == Mode.SINGLE else None) as ports,
            socket.create_connection(ports.addresses["echo"], DEADLINE) as client,
        ):
            client.sendall(b"hello")
            client.shutdown(socket.SHUT_WR)
            assert client.makefile("rb").read() == b"echo: hello"
        assert ports.stats()["echo"].accepted == 1


def test_messages_to_and_from_a_native_handler_are_bytes(library: str, make: Make) -> None:
    told = Told()

    class Both(Run, Tell):
        def on_message(self, ctx: PortContext, sender: str, obj: Any) -> None:
            handler: type[Handler] = Tell if sender else Run
            handler.on_message(self, ctx, sender, obj)

    ports = make(Port("native", f"{library}:echo_handler"), Port("python", Both, (told,)))
    assert get(told) == ("start", "python")
    for obj in (b"one", bytearray(b"two"), memoryview(b"three"), b""):
        run_in(ports, "python", lambda ctx, obj=obj: ctx.send("native", obj))  # type: ignore[misc]
        message = get(told)
        assert message == ("message", "native", bytes(obj))
        assert type(message[2]) is bytes
    ports.send("native", b"nobody answers")

    with pytest.raises(
        TypeError, match='port "native" has a native handler: it understands bytes-like objects, not dict'
    ):
        ports.send("native", {})
    with pytest.raises(TypeError, match="not str"):
        run_in(ports, "python", lambda ctx: ctx.send("native", "text"))
    with pytest.raises(ValueError, match='no port "nowhere"'):
        ports.send("nowhere", b"")
    ports.stop(DEADLINE)
    assert ports.stats()["native"].messages == 5
    assert ports.stats()["native"].errors == 0


def test_what_cannot_be_a_native_handler_is_refused_in_words(library: str, make: Make, tmp_path: Path) -> None:
    source = tmp_path / "odd.c"
    source.write_text(ODD)
    odd = compiled(source)
    for handler, message in (
        (f"{tmp_path}/nowhere.so:x", r'nowhere.so:x": its library cannot be loaded: .*nowhere.so'),
        (f"{library}:nothing", r':nothing": its library has no such symbol: .*nothing'),
        (f"{odd}:refuses", r':refuses": its function answered COOP_E_QUEUE_FULL \(-5\)'),
        (f"{odd}:later", r":later\": coop_port_handler has \d+ bytes and byte \d+ is not 0"),
        (f"{odd}:empty", r":empty\": the port takes datagrams, and coop_port_handler.on_batch is NULL"),
        (f"{library}:echo_handler", r"its function answered COOP_E_INVALID \(-1\)"),
    ):
        ports = make(Port("port", handler, (bytes(2000),)), start=False)
        with pytest.raises(Failed, match=message):
            ports.start()
    with pytest.raises(ValueError, match=r'native handler "\./lib\.so" must be "path/lib\.so:symbol"'):
        make(Port("port", "./lib.so"))
    for args in (("text",), (b"one", b"two"), (7,)):
        with pytest.raises(TypeError, match='port "port" has a native handler: its args must be one bytes-like object'):
            make(Port("port", f"{library}:echo_handler", args))


@pytest.mark.parametrize("mode", [Mode.SINGLE, Mode.THREAD])
def test_a_native_handler_answers_while_python_holds_the_interpreter(library: str, mode: Mode, program: Any) -> None:
    program(
        """
        import ctypes, socket, sys
        from libcoop import EventLoop, Mode, Port, PortSet

        library, mode = sys.argv[1], Mode(int(sys.argv[2]))
        libc = ctypes.PyDLL(None)  # holds the interpreter while it calls
        loop = EventLoop()
        loop.start()
        ports = PortSet([Port("echo", library + ":echo_handler")], mode=mode, loop=loop)
        with ports, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.connect(ports.addresses["echo"])
            # Blocking in the kernel, which gives up for us.
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, bytes(ctypes.c_long(20)) + bytes(8))
            fd, buffer = peer.fileno(), ctypes.create_string_buffer(100)
            for number in range(200):
                data = str(number).encode()
                assert libc.send(fd, data, len(data), 0) == len(data)
                assert libc.recv(fd, buffer, 100, 0) == len(data), "the handler waits for the interpreter"
                assert buffer.raw.startswith(data)
        assert ports.stats()["echo"].received == 200
        loop.close()
        """,
        library,
        str(int(mode)),
    )


def test_the_capsule_is_the_table_of_the_wheels_own_copy(program: Any) -> None:
    """Also where a libcoop.so offers functions of the same names before it."""
    program(
        """
        import ctypes, sys
        shared = ctypes.CDLL(sys.argv[1], mode=ctypes.RTLD_GLOBAL)
        from libcoop import _libcoop

        take = ctypes.pythonapi.PyCapsule_GetPointer
        take.restype, take.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
        table = take(_libcoop.coop_api, b"libcoop.coop_api")

        class Info(ctypes.Structure):
            _fields_ = [("file", ctypes.c_char_p), ("base", ctypes.c_void_p),
                        ("name", ctypes.c_char_p), ("address", ctypes.c_void_p)]

        def words(address):
            size = ctypes.c_size_t.from_address(address).value
            return size, [ctypes.c_void_p.from_address(address + at).value for at in range(16, size, 8)]

        def file_of(address):
            info = Info()
            assert ctypes.CDLL(None).dladdr(ctypes.c_void_p(address), ctypes.byref(info))
            return info.file.decode()

        shared.coop_api_get.restype = ctypes.c_void_p
        size, functions = words(table)
        assert size == words(shared.coop_api_get())[0] > 16 + 60 * 8, size
        assert {file_of(function) for function in functions} == {_libcoop.__file__}
        assert {file_of(function) for function in words(shared.coop_api_get())[1]} == {sys.argv[1]}
        """,
        str(ROOT / "target" / "release" / "libcoop.so"),
    )


def test_the_capsule_has_its_conventional_name() -> None:
    assert repr(libcoop._libcoop.coop_api).startswith('<capsule object "libcoop.coop_api"')
