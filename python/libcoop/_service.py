"""`libcoop.Service`: what a class of services may inherit."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from libcoop._context import Context


class Service(ABC):
    """A service, for whoever likes to inherit: any class with such a `run` is one.

    It is made anew for each run, by whatever runs it, with the arguments that `add` was given.
    """

    @abstractmethod
    def run(self, ctx: Context) -> Any:
        """Does its work, as a plain function or as `async def`, until it is done or `ctx.stopping`.

        Returning is a normal end; an exception is not.
        """
