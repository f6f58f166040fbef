"""The configuration: keys, defaults, bounds, and the file `key=value` that holds them.

Guarantees: a value that is accepted is within the bounds that `--help` and each error name; an error names the file,
the line, the key, the value and what is allowed. The two spellings of parallel(e)lability are the peer's, and are kept.
"""

# ruff: noqa: RUF009 -- _key answers a dataclass field, which is what stands for a default

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

from .packet import DUMMY_OVERHEAD, MAX_BYTES, MAX_DURATION

DEFAULT_PATH = "~/.wyndrvr/config"
PORTS_PER_CLIENT = 3
IGNORED = "accepted for the peer's files; no effect: libcoop's loop waits for events and polls nothing"


class Parallel(StrEnum):
    """How ports are run."""

    SINGLE = "SINGLE"
    THREAD = "THREAD"
    PROCESS = "PROCESS"


class PortRanges(tuple[tuple[int, int], ...]):
    """Inclusive ranges of UDP ports."""

    __slots__ = ()

    def __str__(self) -> str:
        return ",".join(f"{low}-{high}" for low, high in self)

    def numbers(self) -> list[int]:
        """Every port, in the order given, each once."""
        return list(dict.fromkeys(number for low, high in self for number in range(low, high + 1)))


class ConfigError(ValueError):
    """A setting that cannot be used; the message is one line, complete."""


class Rule(NamedTuple):
    """What a key takes. `unit` is empty for what has none."""

    kind: str  # "text", "ranges", "mode", "flag", "integer" or "number"
    about: str
    unit: str = ""
    low: float = 0
    high: float = 0

    def allowed(self) -> str:
        """In words, for errors and for --help."""
        match self.kind:
            case "text":
                return "an address or a host name"
            case "ranges":
                return f"a-b,c-d with 1 <= a <= b <= 65535 and {PORTS_PER_CLIENT} ports or more in all"
            case "mode":
                return "SINGLE, THREAD or PROCESS"
            case "flag":
                return "true or false"
        bounds = f"{self.low:.15g} to {self.high:.15g}" + (f" {self.unit}" if self.unit else "")
        return f"{'a whole number' if self.kind == 'integer' else 'a number'}, {bounds}"

    def read(self, text: str) -> object:
        """The value that `text` stands for; ValueError for any other text."""
        if not text.isascii() or ("_" in text and self.kind != "text"):  # int() would take both
            raise ValueError
        match self.kind:
            case "text":
                if not text or any(character.isspace() for character in text):
                    raise ValueError
                return text
            case "ranges":
                return _ranges(text)
            case "mode":
                return Parallel(text.upper())
            case "flag":
                return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}[text.lower()]
        value: int | float = int(text) if self.kind == "integer" else float(text)
        if not self.low <= value <= self.high:  # also refuses NaN
            raise ValueError
        return value


def _ranges(text: str) -> PortRanges:
    pairs = []
    for part in text.split(","):
        low, _, high = part.strip().partition("-")
        first, last = int(low), int(high)
        if not 1 <= first <= last <= 65_535:
            raise ValueError
        pairs.append((first, last))
    ranges = PortRanges(pairs)
    if len(ranges.numbers()) < PORTS_PER_CLIENT:
        raise ValueError
    return ranges


def _key(default: Any, kind: str, about: str, unit: str = "", low: float = 0, high: float = 0) -> Any:
    return field(default=default, metadata={"rule": Rule(kind, about, unit, low, high)})


_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Config:
    """Every setting; the unit stands in its rule."""

    bind_addr: str = _key("0.0.0.0", "text", "the server's address")
    bind_port: int = _key(6711, "integer", "the server's main port, 0 for any free one", "", 0, 65_535)
    port_ranges: PortRanges = _key(
        PortRanges([(7000, 8000)]), "ranges", "where each client's three ports are taken from"
    )
    connection_parallelibility: Parallel = _key(Parallel.SINGLE, "mode", "how the main port runs")
    port_parallelability: Parallel = _key(Parallel.SINGLE, "mode", "how the three ports of a client run, on both sides")
    incoming_blocking_level: int = _key(0, "integer", IGNORED, "us", 0, 10**9)
    incoming_sleep: int = _key(0, "integer", IGNORED, "us", 0, 10**9)
    max_send_time: int = _key(0, "integer", "longest turn of sending an upload test, 0: not limited", "us", 0, 10**9)
    send_sleep: int = _key(0, "integer", "pause between two turns of sending, 0: none", "us", 0, 10**9)
    heartbeat_rate: int = _key(5000, "integer", "time between heartbeats", "ms", 1, _DAY_MS)
    adjustment_delay: int = _key(1000, "integer", "how long a packet is missing until it is lost", "ms", 1, _DAY_MS)
    flow_control_rate: int = _key(10, "integer", "FLOW_CONTROL messages in one adjustment_delay", "", 1, 10_000)
    server_block_time: int = _key(100, "integer", IGNORED, "ms", 0, _DAY_MS)
    client_block_time: int = _key(100, "integer", IGNORED, "ms", 0, _DAY_MS)
    ucm_delay: int = _key(100, "integer", "time between tries of what the client wants acknowledged", "ms", 1, _DAY_MS)
    ucm_rate: int = _key(100, "integer", "time between tries of what the server wants acknowledged", "ms", 1, _DAY_MS)
    bw_packet_length: int = _key(
        900, "integer", "length of the test packet's string", "bytes", 0, MAX_BYTES - DUMMY_OVERHEAD
    )
    duration: float = _key(30.0, "number", "length of a bandwidth test", "s", 0.001, MAX_DURATION)
    test_verbose: bool = _key(False, "flag", "say on stderr what happens")
    # The peer has no key for what follows.
    test_delay: int = _key(0, "integer", "wait this long in each pass of a port's loop: a slow peer", "ms", 0, _DAY_MS)
    test_drop_rate: float = _key(0.0, "number", "probability with which a packet is not sent: a bad line", "", 0, 1)
    max_clients: int = _key(256, "integer", "clients that the server keeps at a time", "", 1, 21_845)
    max_clients_per_address: int = _key(16, "integer", "clients of one IP address", "", 1, 21_845)
    silence_timeout: float = _key(
        30.0, "number", "silence after which the server frees a client's ports", "s", 0.1, 86_400
    )
    client_timeout: float = _key(30.0, "number", "silence after which the client gives up", "s", 0.1, 86_400)
    ack_time: int = _key(5000, "integer", "how long the client goes on acknowledging the result", "ms", 0, _DAY_MS)

    @property
    def flow_control_interval(self) -> float:
        """Seconds from one FLOW_CONTROL to the next; no less than a millisecond, the loop's own grain."""
        return max(self.adjustment_delay / 1000 / self.flow_control_rate, 0.001)


RULES: dict[str, Rule] = {entry.name: entry.metadata["rule"] for entry in fields(Config)}


def read_value(key: str, text: str, where: str) -> object:
    """The value of `key` written as `text`; `where` begins the error message."""
    rule = RULES[key]
    try:
        return rule.read(text)
    except (ValueError, KeyError):
        raise ConfigError(f"{where}: {key}={text}: allowed is {rule.allowed()}") from None


def parse_config(lines: Iterable[str], name: str) -> dict[str, object]:
    """The settings in a file's lines; `name` is the file's, for errors. A later line wins over an earlier one."""
    settings: dict[str, object] = {}
    for number, raw in enumerate(lines, 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        where = f"{name}, line {number}"
        key, equals, value = (part.strip() for part in line.partition("="))
        if not equals:
            raise ConfigError(f"{where}: {line!r}: allowed is key=value, or a comment after #")
        if key not in RULES:
            import difflib  # only now: it takes a while

            near = difflib.get_close_matches(key, RULES, 1)
            hint = f"did you mean {near[0]}?" if near else f"allowed is one of {', '.join(RULES)}"
            raise ConfigError(f"{where}: unknown key {key!r}: {hint}")
        settings[key] = read_value(key, _without_comment(value), where)
    return settings


def _lines(data: bytes, name: str) -> Iterable[str]:
    """Lines as an editor counts them; a byte order mark is no part of the first."""
    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        try:
            yield line.decode("utf-8")
        except UnicodeDecodeError:
            raise ConfigError(f"{name}, line {number}: {line!r}: allowed is text in UTF-8") from None


def _without_comment(value: str) -> str:
    for at, character in enumerate(value):
        if character == "#" and (at == 0 or value[at - 1].isspace()):
            return value[:at].strip()
    return value


def config_path(given: str | None) -> Path:
    """The file that --config means: itself, or `config` in a folder; by default ~/.wyndrvr/config."""
    path = Path(given or DEFAULT_PATH).expanduser()
    return path / "config" if path.is_dir() else path


def load_config(given: str | None, flags: Mapping[str, object]) -> Config:
    """Defaults, then the file, then `flags`. A file that was named must exist; the default one need not."""
    path = config_path(given)
    settings: dict[str, object] = {}
    try:
        settings = parse_config(_lines(path.read_bytes(), str(path)), str(path))
    except FileNotFoundError:
        if given is not None:
            raise ConfigError(f"{path}: no such file; --create-config writes one") from None
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from None
    return replace(Config(), **{**settings, **flags})  # type: ignore[arg-type]


def create_config(given: str | None, flags: Mapping[str, object]) -> Path:
    """Write a file with every key, at its default or as `flags` say; an existing file is left alone."""
    path = config_path(given)
    text = render(replace(Config(), **flags))  # type: ignore[arg-type]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise ConfigError(f"{path}: exists already; remove it first, or name another file with --config") from None
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from None
    return path


def render(config: Config) -> str:
    """The file's text. Comments stand on lines of their own: the peer stops reading at one behind a value."""
    lines = ["# wynd configuration: key=value"]
    for key, rule in RULES.items():
        lines += ["", f"# {rule.about}: {rule.allowed()}", f"{key}={_written(getattr(config, key))}"]
    return "\n".join(lines) + "\n"


def _written(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.15g}" if isinstance(value, float) else str(value)
