"""The configuration file and the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from libcoop.wynd.cli import Options, build_parser, parse_address, parse_args
from libcoop.wynd.config import RULES, Config, ConfigError, Parallel, PortRanges, load_config, parse_config, render
from libcoop.wynd.events import Direction


def options(*arguments: str) -> Options:
    parsed = parse_args(arguments)
    assert parsed is not None
    return parsed


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line with which wrong use is answered."""
    with pytest.raises(SystemExit) as leaving:
        parse_args(arguments)
    assert leaving.value.code == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    return printed.err


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


def test_defaults() -> None:
    config = options().config
    assert config == Config()
    assert (config.bind_addr, config.bind_port, str(config.port_ranges)) == ("0.0.0.0", 6711, "7000-8000")
    assert (config.heartbeat_rate, config.adjustment_delay, config.flow_control_rate) == (5000, 1000, 10)
    assert (config.bw_packet_length, config.duration, config.test_verbose) == (900, 30, False)
    assert config.flow_control_interval == pytest.approx(0.1)
    assert options().target == ("127.0.0.1", 6711)


def test_a_file_as_the_peer_writes_it(tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_text(
        "# wyndrvr configuration file\n\nbind_port = 6720\nport_ranges=7100-7200,9000-9001\n"
        "connection_parallelibility=THREAD\nport_parallelability=THREAD  # <-- Set to THREAD\n"
        "adjustment_delay=3000  # three seconds\nflow_control_rate=3\ntest_verbose=true\n"
    )
    for given_path in (file, tmp_path):
        config = load_config(str(given_path), {"flow_control_rate": 5})
        assert (config.bind_port, config.adjustment_delay, config.flow_control_rate) == (6720, 3000, 5)
        assert config.port_ranges == PortRanges([(7100, 7200), (9000, 9001)])
        assert config.connection_parallelibility is config.port_parallelability is Parallel.THREAD
        assert config.test_verbose is True


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ("bind_port=x", ["bind_port=x", "0 to 65535"]),
        ("bind_port=65536", ["bind_port=65536", "0 to 65535"]),
        ("bind_port=6_711", ["bind_port=6_711", "0 to 65535"]),
        ("duration=nan", ["duration=nan", "0.001 to 86400 s"]),
        ("duration= # none", ["duration=", "0.001 to 86400 s"]),
        ("bw_packet_length=1363", ["bw_packet_length=1363", "0 to 1362 bytes"]),
        ("port_ranges=8000-7000", ["port_ranges=8000-7000", "a <= b"]),
        ("port_ranges=7000-7001", ["port_ranges=7000-7001", "3 ports or more"]),
        ("port_ranges=7000", ["port_ranges=7000", "a-b,c-d"]),
        ("port_parallelability=FORK", ["port_parallelability=FORK", "SINGLE, THREAD or PROCESS"]),
        ("test_verbose=maybe", ["test_verbose=maybe", "true or false"]),
        ("port_paralellability=SINGLE", ["port_paralellability", "did you mean port_parallelability?"]),
        ("zzz=1", ["'zzz'", "allowed is one of bind_addr"]),
        ("duration 5", ["'duration 5'", "key=value"]),
    ],
)
def test_an_error_names_file_line_key_and_what_is_allowed(line: str, parts: list[str]) -> None:
    with pytest.raises(ConfigError) as raised:
        parse_config(["# comment", "", line], "some/file")
    for part in ["some/file, line 3", *parts]:
        assert part in str(raised.value)


def complaint(line: str) -> str:
    """What is said about a line, if anything."""
    try:
        parse_config([line], "f")
    except ConfigError as error:
        return str(error)
    return ""


@given(st.text(max_size=60))
def test_any_line_is_read_or_refused(line: str) -> None:
    assert complaint(line).startswith("f, line 1") or not complaint(line)


@given(st.sampled_from(sorted(RULES)), st.text(max_size=20))
def test_any_value_is_read_or_refused(key: str, value: str) -> None:
    said = complaint(f"{key}={value}")
    assert not said or key in said


def test_the_line_is_named_as_an_editor_counts(tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_bytes(b"\xef\xbb\xbfbind_port=1\nduration=1 # \x0c \xe2\x80\xa8\r\n# \xff\n")
    with pytest.raises(ConfigError, match=r"config, line 3: .*UTF-8"):
        load_config(str(file), {})
    file.write_bytes(b"\xef\xbb\xbfbind_port=1\r\n# \x0c \xe2\x80\xa8\nzz=1")
    with pytest.raises(ConfigError, match=r"config, line 3: unknown key 'zz'"):
        load_config(str(file), {})


def test_create_config(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "deep" / "er" / "config"
    assert (
        parse_args(["--create-config", "--config", str(file), "--duration", "2.5", "--port-ranges", "1-3,9-9"]) is None
    )
    assert str(file) in capsys.readouterr().out
    assert load_config(str(file.parent), {}) == Config(duration=2.5, port_ranges=PortRanges([(1, 3), (9, 9)]))
    assert "exists already" in refused(capsys, "--create-config", "--config", str(file))
    assert parse_args(["--create-config"]) is None
    assert options().config == Config()


def test_a_rendered_file_reads_back() -> None:
    config = Config(test_verbose=True, test_drop_rate=0.125, connection_parallelibility=Parallel.THREAD)
    text = render(config)
    assert parse_config(text.splitlines(), "f") == {key: getattr(config, key) for key in RULES}
    assert all("#" not in line for line in text.splitlines() if not line.startswith("#"))


def test_a_file_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no such file" in refused(capsys, "--config", str(tmp_path / "none"))


def test_one_flag_for_each_key() -> None:
    flags = {flag for action in build_parser()._actions for flag in action.option_strings}
    assert {"--" + key.replace("_", "-") for key in RULES} <= flags


def test_flags() -> None:
    parsed = options("--server", ":7000", "--test-delay", "--test-verbose", "--port-parallelability", "thread")
    assert parsed.serve
    assert (parsed.config.bind_addr, parsed.config.bind_port) == ("0.0.0.0", 7000)
    assert (parsed.config.test_delay, parsed.config.test_verbose) == (100, True)
    assert parsed.config.port_parallelability is Parallel.THREAD
    parsed = options("--test-verbose", "h:2", "--no-test-verbose")
    assert (parsed.target, parsed.config.test_verbose) == (("h", 2), False)
    assert options("--bind-addr", "127.0.0.9", "--server").config.bind_addr == "127.0.0.9"
    parsed = options("10.0.0.1", "--bwup", "--duration", "3", "--test-drop-rate", "0.5")
    assert parsed.tests == (Direction.UPLOAD,)
    assert parsed.target == ("10.0.0.1", 6711)
    assert (parsed.config.duration, parsed.config.test_drop_rate) == (3.0, 0.5)


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--duration", "0"], "duration=0"),
        (["--test-drop-rate", "1.5"], "0 to 1"),
        (["--port-ranges", "7000-7001"], "3 ports or more"),
        (["--server", "--bwup"], "--server"),
        (["127.0.0.1:0"], "1 to 65535"),
        (["127.0.0.1:x"], "0 to 65535"),
        (["::1"], "square brackets"),
        (["--server", "h\udcff:0"], "a host name"),
        (["--nonsense"], "--nonsense"),
        (["--port-parallelability", "FORK"], "SINGLE, THREAD or PROCESS"),
    ],
)
def test_wrong_use(arguments: list[str], part: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert part in refused(capsys, *arguments)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("", ("d", 1)),
        (":", ("d", 1)),
        ("h", ("h", 1)),
        ("h:", ("h", 1)),
        (":2", ("d", 2)),
        ("h:2", ("h", 2)),
        ("[::1]:2", ("::1", 2)),
        ("[::1]", ("::1", 1)),
    ],
)
def test_addresses(text: str, address: tuple[str, int]) -> None:
    assert parse_address(text, ("d", 1)) == address


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    for flag in ("--version", "--help"):
        with pytest.raises(SystemExit) as leaving:
            parse_args([flag])
        assert leaving.value.code == 0
    assert "--report" in capsys.readouterr().out
