"""What type checkers, and readers of redis-py's documentation, are told of `libcoop.Redis`."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from pathlib import Path

import libcoop
import pytest
import redis
import redis.asyncio
from conftest import DEADLINE
from libcoop._redis_keys import Commands
from rediskit import running

USERS_PROGRAM = Path(__file__).with_name("user_types_redis.py")
WRONG = """
from libcoop import Redis

async def main() -> None:
    client = Redis()
    text: str | None = await client.get("k")
    await client.get(None)
    client.incr("k", amount="1")
    with client as waits:
        waits.get("k").decode()
"""


def checked_by_mypy(program: Path, cache: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(cache), str(program)],
        cwd=cache,
        capture_output=True,
        text=True,
        timeout=240,
    )


def test_a_users_program_passes_mypy_strict(tmp_path: Path) -> None:
    checked = checked_by_mypy(USERS_PROGRAM, tmp_path)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    wrong = tmp_path / "wrong.py"
    wrong.write_text(WRONG)
    found = checked_by_mypy(wrong, tmp_path).stdout
    lines = [int(line.split(":")[1]) for line in found.splitlines() if ": error:" in line]
    assert lines == [6, 7, 8, 10], found


def test_a_users_program_passes_pyright() -> None:
    # The one in the wheel, with the wheel's node: nothing is downloaded.
    settings = {"PYRIGHT_PYTHON_USE_BUNDLED_PYRIGHT": "1", "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"}
    checked = subprocess.run(
        [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, str(USERS_PROGRAM)],
        env=os.environ | settings,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "0 errors" in checked.stdout


def test_the_users_program_runs() -> None:
    with running() as server:
        subprocess.run([sys.executable, str(USERS_PROGRAM), server.url], check=True, timeout=DEADLINE)


def commands() -> list[str]:
    """What is a command by name."""
    return sorted(
        name
        for owner in libcoop.Redis.__mro__
        if issubclass(owner, Commands)
        for name, value in vars(owner).items()
        if inspect.isfunction(value) and not name.startswith("_")
    )


# redis-py has no connection of one's own and no figures; what its execute_command and its pubsub take beside is other.
OURS = {"own", "stats", "execute_command", "pubsub"}


@pytest.mark.parametrize("name", sorted(set(commands()) - OURS))
def test_parameters_are_those_of_redis_py(name: str) -> None:
    """A call that is written for redis-py means the same, or is a TypeError: parameters have the same names, places
    and defaults."""
    mine = list(inspect.signature(getattr(libcoop.Redis, name)).parameters.values())[1:]
    theirs = inspect.signature(
        getattr(redis.asyncio.Redis if name in {"aclose", "transaction"} else redis.Redis, name)
    ).parameters
    for place, parameter in enumerate(mine, start=1):
        expected = theirs[parameter.name]
        if parameter.kind is not parameter.KEYWORD_ONLY:
            assert list(theirs)[place] == parameter.name
            assert expected.kind is parameter.kind
        assert parameter.default == expected.default or (parameter.default, expected.default) == ((), []), parameter


def test_there_are_more_than_two_hundred() -> None:
    assert len(commands()) > 200
