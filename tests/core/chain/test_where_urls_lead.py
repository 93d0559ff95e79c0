"""The host that is shown of a URL is the host that is asked, however the URL is written."""

from __future__ import annotations

import contextlib
import socket
from typing import Any, NoReturn

import pytest
import urllib3.util.connection
from urllib3.util import parse_url

from provenance.chain.endpoint import Endpoint, Patience
from provenance.chain.quorum import Quorum
from provenance.errors import InputError, ProvenanceError
from provenance.witness.client import WitnessEndpoint

OTHER = "other.example"
TWO_WAYS = [
    f"http://127.0.0.1:8545\\@{OTHER}/",
    f"http://127.0.0.1:8545\\@{OTHER}:9/",
    f"http://127.0.0.1\\.{OTHER}/",
    f"http://a@127.0.0.1@{OTHER}/",
    f"http://127.0.0.1%40{OTHER}/",
    "http://n%6Fde.example",
    "http://[fe80::1%25a]",
    "https://fa\u00df.de",
    "https://\u03b2\u03cc\u03bb\u03bf\u03c2.com",
    "http://b\u00fccher.example",
    "http://\uff11\uff12\uff17.0.0.1:1",
    "http://\u246027.0.0.1:8545",
    f"http://127.0.0.1\u2044@{OTHER}",
    "http://exa\u00admple.com",
    "http://node.example\u3002",
    "http://node.example/\u00fc",
    "http://127.0.0.1:8545\t",
    "http://127.0.0.1:85\n45",
    "http://127.0.0.1 /",
    f"http://127.0.0.1 @{OTHER}",
    "http://127.0.0.1:8545:80/",
    "http://127.0.0.1:\u0661",
    "http://.node.example",
    "http://a[::1]/",
    "http://[::1].example/",
]
ONE_WAY = [
    "http://127.0.0.1:8545",
    f"http://127.0.0.1:8545#@{OTHER}/",
    f"http://127.0.0.1:8545?@{OTHER}/",
    f"http://127.0.0.1:8545/@{OTHER}/",
    f"http://{OTHER}:secret@127.0.0.1:8545/",
    f"http://{OTHER}%5C@127.0.0.1:8545/",
    "HTTP://NODE.example.:08545/key",
    "http://127.1:1",
    "http://0x7f000001",
    "http://[0:0:0:0:0:0:0:1]:1",
    "http://xn--bcher-kva.example",
    "http://node.example:",
]


@pytest.mark.parametrize("url", TWO_WAYS)
def test_a_url_that_two_programs_could_read_differently_is_none(url: str) -> None:
    for of in (Endpoint, WitnessEndpoint):
        with pytest.raises(InputError) as caught:
            of(url)
        assert OTHER not in str(caught.value)


def asked_hosts(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Where sockets are opened to from now on; none of them is."""
    asked: list[tuple[str, int]] = []

    def connect(address: tuple[str, int], *_: Any, **__: Any) -> NoReturn:
        asked.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(urllib3.util.connection, "create_connection", connect)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return asked


@pytest.mark.parametrize("url", [*TWO_WAYS, *ONE_WAY])
def test_what_is_shown_is_where_the_socket_goes(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is not refused: the HTTP client's own connection is compared, not its parser."""
    asked = asked_hosts(monkeypatch)
    with contextlib.suppress(ProvenanceError):
        endpoint = Endpoint(url, 1, Patience(0))
        shown = parse_url(endpoint.shown)
        with contextlib.suppress(ProvenanceError):
            endpoint.request("eth_chainId")
        ((host, port),) = set(asked)
        name = host.strip("[]").rstrip(".").lower()
        with contextlib.suppress(OSError):
            name = socket.inet_ntoa(socket.inet_aton(name))
        with contextlib.suppress(OSError):
            name = socket.inet_ntop(socket.AF_INET6, socket.inet_pton(socket.AF_INET6, name))
        assert (name, port) == ((shown.host or "").strip("[]"), shown.port or 80)
        return
    assert url in TWO_WAYS


def test_one_endpoint_does_not_count_as_three() -> None:
    """The attack of a stranger: one host, shown under three names, agrees with itself."""
    urls = ["http://h:8545", f"http://h:8545\\@{OTHER}/", "http://h:8545\\@third.example/"]
    with pytest.raises(InputError, match="http or https"):
        Quorum([Endpoint(url, 1, Patience(0)) for url in urls], 3)
