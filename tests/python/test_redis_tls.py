"""TLS to real servers, with certificates made here."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from libcoop import Error, Redis
from rediskit import LONG, RedisServer, TlsServer

MAKE = Path(__file__).resolve().parents[1] / "certificates.sh"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    subprocess.run([MAKE, folder], check=True, timeout=LONG)
    return folder


@pytest.fixture
def server(made: Path) -> Iterator[TlsServer]:
    with TlsServer(made) as server:
        yield server


def test_a_certificate_that_is_trusted_and_for_the_name(server: TlsServer, made: Path) -> None:
    url = f"rediss://localhost:{server.port}"
    with Redis(url, ssl_ca_certs=made / "ca.crt") as client:
        assert client.set("k", "v" * 1_000_000) is True
        assert client.get("k") == b"v" * 1_000_000
    given: dict[str, Any] = {"host": "localhost", "port": server.port, "ssl": True}
    with Redis(**given, ssl_ca_certs=(made / "ca.crt").read_bytes()) as client:
        assert client.strlen("k") == 1_000_000
    with Redis(
        f"rediss://127.0.0.1:{server.port}", ssl_ca_certs=made / "ca.crt", ssl_server_name="localhost"
    ) as client:
        assert client.ping() is True

    async def main() -> None:
        async with Redis(url, ssl_ca_certs=made / "ca.crt") as client:
            assert await asyncio.gather(*(client.incr("n") for _ in range(1000))) == list(range(1, 1001))

    asyncio.run(main())


@pytest.mark.parametrize(
    ("host", "authority", "words"),
    [
        ("localhost", "other.crt", "certificate is not trusted"),
        ("127.0.0.1", "ca.crt", 'not for the name "127.0.0.1"'),
    ],
    ids=["authority", "name"],
)
def test_a_certificate_that_is_not(server: TlsServer, made: Path, host: str, authority: str, words: str) -> None:
    with Redis(f"rediss://{host}:{server.port}", ssl_ca_certs=made / authority) as client:
        with pytest.raises(Error, match=words):
            client.ping()

        async def main() -> None:
            with pytest.raises(Error, match=words):
                await asyncio.wait_for(client.submit("PING"), LONG)

        asyncio.run(main())


def test_a_server_that_asks_its_clients(made: Path) -> None:
    with TlsServer(made, asks="yes") as server:
        url, trusted = f"rediss://localhost:{server.port}", made / "ca.crt"
        own: dict[str, Any] = {"ssl_certfile": made / "client.crt", "ssl_keyfile": (made / "client.key").read_bytes()}
        with Redis(url, ssl_ca_certs=trusted, **own) as client:
            assert client.ping() is True
        with Redis(url, ssl_ca_certs=trusted) as client, pytest.raises(Error, match=f"localhost:{server.port}"):
            client.ping()


def test_a_server_that_speaks_no_tls(made: Path) -> None:
    with RedisServer("--bind", "127.0.0.1", port=True) as server:
        with Redis(host="127.0.0.1", port=server.port) as client:
            assert client.ping() is True
        given: dict[str, Any] = {"ssl": True, "ssl_ca_certs": made / "ca.crt", "connect_timeout": 0.2, "patience": 0.2}
        with (
            Redis(host="localhost", port=server.port, **given) as client,
            pytest.raises(Error, match=f"localhost:{server.port}"),
        ):
            client.ping()
