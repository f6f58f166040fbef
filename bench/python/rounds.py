"""What the benches here that run programs share: contestants that take turns, ratios with their spread, C programs."""

from __future__ import annotations

import math
import statistics
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

Result = TypeVar("Result")


def in_turns(contestants: Mapping[str, Callable[[], Result]], rounds: int) -> dict[str, list[Result]]:
    """What each gave in each round; every round begins with another one."""
    results: dict[str, list[Result]] = {name: [] for name in contestants}
    names = list(contestants)
    for number in range(rounds):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            results[name].append(contestants[name]())
    return results


def spread(figures: Sequence[float], form: str = ".2f") -> str:
    """Median, least and greatest."""
    return f"{statistics.median(figures):{form}} ({min(figures):{form}}-{max(figures):{form}})"


def ratios(mine: Sequence[float], others: Sequence[float]) -> str:
    """Of the ratios within each round."""
    return spread([one / other if other else math.inf for one, other in zip(mine, others, strict=True)])


def compiled(source: Path, folder: str) -> Path:
    """The program of a C file."""
    program = Path(folder) / source.stem
    subprocess.run(["cc", "-O2", "-Wall", "-Wextra", "-Werror", "-o", str(program), str(source)], check=True)
    return program
