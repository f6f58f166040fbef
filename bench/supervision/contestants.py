"""Who takes part, and how each is told to run COUNT services that are restarted at once, without a limit.

What a supervisor waits for by its defaults (supervisord's poll, circus's check_delay, runsvdir's scan) is left as it
is; its policy is not: no least uptime, no backoff, no most of retries.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Setting:
    """What a contestant may use: a folder of its own, the programs that were built, how many services it runs."""

    folder: Path
    built: Path
    count: int

    @property
    def child(self) -> Path:
        return self.built / "child"

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text)
        return path


@dataclass(frozen=True)
class Contestant:
    name: str
    command: Callable[[Setting], list[str]]
    # A program that must be installed, and what brings it.
    needs: tuple[str, str] | None = None

    def missing(self) -> str | None:
        if self.needs and not shutil.which(self.needs[0]):
            return f"{self.needs[0]} is not installed: {self.needs[1]}"
        return None


def libcoop(at: Setting) -> list[str]:
    return [str(at.built / "libcoop"), str(at.count), str(at.child)]


def bare(at: Setting) -> list[str]:
    return [str(at.built / "bare"), str(at.count), str(at.child)]


def runit(at: Setting) -> list[str]:
    services = at.folder / "services"
    for number in range(at.count):
        (services / str(number)).mkdir(parents=True)
        # "run" may be any program: not a shell that becomes one.
        (services / str(number) / "run").symlink_to(at.child)
    return ["runsvdir", str(services)]


def supervisord(at: Setting) -> list[str]:
    config = at.write(
        "supervisord.conf",
        f"""[supervisord]
nodaemon=true
silent=true
logfile=/dev/null
logfile_maxbytes=0
pidfile={at.folder}/pid
minfds=256

[program:service]
command={at.child}
process_name=%(program_name)s_%(process_num)d
numprocs={at.count}
autorestart=true
startsecs=0
stdout_logfile=NONE
stderr_logfile=NONE
""",
    )
    return [sys.executable, "-m", "supervisor.supervisord", "-c", str(config)]


def circus(at: Setting) -> list[str]:
    config = at.write(
        "circus.ini",
        f"""[circus]
endpoint = ipc://{at.folder}/endpoint
pubsub_endpoint = ipc://{at.folder}/pubsub
loglevel = CRITICAL

[watcher:service]
cmd = {at.child}
numprocesses = {at.count}
copy_env = True
warmup_delay = 0
max_retry = -1
""",
    )
    return [sys.executable, "-c", "from circus.circusd import main; main()", str(config)]


def gunicorn(at: Setting) -> list[str]:
    options = f"--bind unix:{at.folder}/socket --workers {at.count} --timeout 0 --log-level critical"
    module = ["--chdir", str(HERE), "--worker-class", "worker.Reporting", "worker:app"]
    return [sys.executable, "-m", "gunicorn", *options.split(), "--no-control-socket", *module]


CONTESTANTS = [
    Contestant("libcoop", libcoop),
    Contestant("bare", bare),
    Contestant("runit", runit, ("runsvdir", "apt-get install runit")),
    Contestant("gunicorn", gunicorn),
    Contestant("supervisord", supervisord),
    Contestant("circus", circus),
]
