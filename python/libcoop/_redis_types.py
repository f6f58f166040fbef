"""How commands of redis are typed: each is written once, with the type of its value, and what a call of it is to a type
checker goes by what it is called on.

| called on | a call is |
|---|---|
| a client as it was made, a `Redis` | an `Answer`: awaited it has the value's type, and anything else is allowed |
| what `with` binds | the value |
| what `async with` binds | a future of the value |
| a pipeline | the pipeline |

Nothing of this is there when a program runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Generator
    from os import PathLike
    from typing import Concatenate, Generic, ParamSpec, TypedDict, overload

    from typing_extensions import TypeVar

    from libcoop._redis_keys import Commands
    from libcoop._redis_pipeline import Kept, Pipeline

    # What text is answered as.
    Text = TypeVar("Text", bytes, str, default=bytes)
    P = ParamSpec("P")
    V = TypeVar("V")
    V_co = TypeVar("V_co", covariant=True)

    # Where nothing says whether a call is awaited or waited for it is an instance of both: Any is among its bases.
    class Answer(Awaitable[V_co], Any):  # type: ignore[misc]
        def __await__(self) -> Generator[Any, Any, V_co]: ...
        def cancel(self) -> bool: ...

    class Waits:
        """Calls of it are waited for."""

    class Awaits:
        """Calls of it are awaited."""

    class command(Generic[P, V]):
        """A command, as a method."""

        def __init__(self, method: Callable[Concatenate[Any, P], V]) -> None: ...
        @overload
        def __get__(self, instance: None, owner: Any) -> Any: ...
        @overload
        def __get__(self, instance: Pipeline, owner: Any) -> Callable[P, Kept]: ...
        @overload
        def __get__(self, instance: Waits, owner: Any) -> Callable[P, V]: ...
        @overload
        def __get__(self, instance: Awaits, owner: Any) -> Callable[P, asyncio.Future[V]]: ...
        @overload
        def __get__(self, instance: Commands[Any], owner: Any) -> Callable[P, Answer[V]]: ...
        def __get__(self, instance: Any, owner: Any) -> Any: ...

    # A path, or PEM.
    Pem = str | PathLike[str] | bytes

    class Options(TypedDict, total=False):
        """Keywords of a client; see `Redis`."""

        host: str
        port: int
        unix_socket_path: str | PathLike[str]
        username: str | None
        password: str | None
        db: int
        client_name: str | None
        protocol: int | None
        connections: int
        connect_timeout: float | None
        timeout: float | None
        patience: float | None
        stalled_after: float | None
        max_calls: int
        max_queued_bytes: int
        max_reply_bytes: int
        max_own: int
        ssl: bool
        ssl_ca_certs: Pem
        ssl_certfile: Pem
        ssl_keyfile: Pem
        ssl_server_name: str | None

else:
    from typing import TypeVar

    Text = TypeVar("Text")

    def command(method: Any) -> Any:
        return method
