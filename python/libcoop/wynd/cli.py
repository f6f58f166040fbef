"""The command line of `python -m libcoop.wynd`.

Guarantees: one flag for each key of the configuration, with the same bounds; every wrong use ends in one line on stderr
and exit status 2, before anything is opened.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn

from libcoop import __version__

from .config import (
    DEFAULT_PATH,
    RULES,
    Config,
    ConfigError,
    config_path,
    create_config,
    load_config,
    read_value,
)
from .events import Direction
from .plot import trouble_with
from .report import Outputs

DEFAULT_TARGET = ("127.0.0.1", 6711)
_BARE_TEST_DELAY = "100"


@dataclass(frozen=True)
class Options:
    """What was asked for."""

    config: Config
    serve: bool
    target: tuple[str, int]
    tests: tuple[Direction, ...]
    outputs: Outputs


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see --help)\n")


def parse_address(text: str, default: tuple[str, int]) -> tuple[str, int]:
    """`[addr]:[port]`, either part optional; an IPv6 address stands in square brackets."""
    if text.startswith("["):
        host, closing, rest = text[1:].partition("]")
        if not closing or (rest and not rest.startswith(":")):
            raise ValueError(f"{text!r}: allowed is [addr]:[port], as in 127.0.0.1:6711, :6711 or [::1]:6711")
        port = rest[1:]
    elif not text.isprintable():  # bytes that were no text
        raise ValueError(f"{text!r}: allowed is [addr]:[port] with an address or a host name")
    elif text.count(":") > 1:
        raise ValueError(f"{text!r}: an IPv6 address stands in square brackets, as in [::1]:6711")
    else:
        host, _, port = text.partition(":")
    if not port:
        return host or default[0], default[1]
    if not (port.isascii() and port.isdigit() and int(port) <= 65_535):
        raise ValueError(f"{text!r}: the port is {port!r}: allowed is 0 to 65535")
    return host or default[0], int(port)


def _setting(key: str) -> Callable[[str], object]:
    flag = _flag(key)

    def read(text: str) -> object:
        try:
            return read_value(key, text, flag)
        except ConfigError as error:
            # argparse names the flag itself.
            raise argparse.ArgumentTypeError(str(error).removeprefix(f"{flag}: ")) from None

    return read


def _flag(key: str) -> str:
    return "--" + key.replace("_", "-")


def build_parser() -> argparse.ArgumentParser:
    """The parser; flags that stand for keys are absent from the namespace unless given."""
    parser = _Parser(
        prog="python -m libcoop.wynd",
        description="UDP latency and bandwidth between a server and its clients (the wynd protocol).",
        epilog="Exit status: 0 done, 1 the test or the connection failed, 2 wrong use, 130 interrupted (client).",
        allow_abbrev=False,
    )
    parser.add_argument("target", nargs="?", metavar="[addr]:[port]", help="the server, for a client (127.0.0.1:6711)")
    parser.add_argument(
        "--server",
        nargs="?",
        const="",
        metavar="[addr]:[port]",
        help="be a server, at bind_addr and bind_port unless told otherwise",
    )
    parser.add_argument("--bwup", action="store_true", help="client: run an upload bandwidth test, then leave")
    parser.add_argument("--bwdown", action="store_true", help="client: run a download bandwidth test, then leave")
    parser.add_argument("--config", metavar="PATH", help=f"configuration file, or the folder of one ({DEFAULT_PATH})")
    parser.add_argument("--create-config", action="store_true", help="write a configuration file and leave")
    parser.add_argument("--json", action="store_true", help="print what was measured as one JSON object when leaving")
    parser.add_argument("--report", metavar="PATH", help="write that object to PATH when leaving")
    parser.add_argument(
        "--plot", metavar="PATH", help="draw rate, loss and latency over time to PATH, .png or .svg, when leaving"
    )
    parser.add_argument("--version", action="version", version=f"wynd (libcoop) {__version__}")
    keys = parser.add_argument_group("settings", "One flag for each key of the configuration file.")
    defaults = Config()
    for key, rule in RULES.items():
        more: dict[str, Any] = {"type": _setting(key), "metavar": rule.unit.upper() or rule.kind.upper()}
        if rule.kind == "flag":
            more = {"action": argparse.BooleanOptionalAction}  # no value: `--test-verbose host` names a target
        if key == "test_delay":
            more |= {"nargs": "?", "const": read_value(key, _BARE_TEST_DELAY, _flag(key))}
        about = f"{rule.about}: {rule.allowed()} (default {getattr(defaults, key)})".replace("%", "%%")
        keys.add_argument(_flag(key), dest=key, default=argparse.SUPPRESS, help=about, **more)
    return parser


def parse_args(arguments: Sequence[str]) -> Options | None:
    """The options; None when --create-config did all there was to do. Raises SystemExit(2) on wrong use."""
    parser = build_parser()
    given = parser.parse_args(arguments)
    flags = {key: value for key, value in vars(given).items() if key in RULES}
    try:
        if given.create_config:
            print(f"Created {create_config(given.config, flags)}")
            return None
        config = load_config(given.config, flags)
        if given.server is not None:
            if given.target is not None or given.bwup or given.bwdown:
                parser.error("--server goes neither with a target nor with --bwup or --bwdown")
            host, port = parse_address(given.server, (config.bind_addr, config.bind_port))
            config = replace(config, bind_addr=host, bind_port=port)
        target = parse_address(given.target or "", DEFAULT_TARGET)
        if target[1] == 0:
            parser.error(f"{given.target!r}: the port is 0: allowed is 1 to 65535")
    except ValueError as error:
        parser.error(str(error))
    trouble = trouble_with(given.plot) if given.plot is not None else None
    if trouble is not None:
        parser.error(trouble)
    wanted = {Direction.UPLOAD: given.bwup, Direction.DOWNLOAD: given.bwdown}
    tests = tuple(direction for direction, is_wanted in wanted.items() if is_wanted)
    outputs = Outputs(given.report, given.plot, given.json)
    return Options(config, given.server is not None, target, tests, outputs)


__all__ = ["Options", "build_parser", "config_path", "parse_address", "parse_args"]
