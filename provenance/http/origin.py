"""Where a URL leads, in the one form in which it is shown and compared.

Two spellings of one endpoint would count twice in a quorum, and a URL that one parser reads
otherwise than the next would show one host and lead to another. So a URL of which two parsers could
make different things is none. Names are not looked up: that two of them lead to one machine is not
known here.

Source: RFC 3986, 3.2 (authority) and 6.2 (normalization); `inet_aton` of POSIX, which resolvers use
for `127.1`.
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
import socket
from urllib.parse import SplitResult, urlsplit

import requests
from urllib3.exceptions import HTTPError
from urllib3.util import parse_url

_DEFAULT_PORTS = {"http": 80, "https": 443}
# No blanks, controls, backslashes, and no letters for which there are two forms of IDNA.
_PLAIN = re.compile(r"[!-\[\]-~]+", re.ASCII)
_HOST = re.compile(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]", re.ASCII)


def http_parts(url: str) -> SplitResult | None:
    """The parts of a URL of http or https with a host and, if it names one, a valid port.

    None for anything else, and for a URL that could be read in two ways: characters outside ASCII
    (a name in another script is written as `xn--..`), blanks, controls, a backslash, a percent sign
    in the host, a second `@`, or one that the HTTP client reads as another scheme, host or port.
    The text may be attacker-controlled, and hold access keys.
    """
    try:
        parts = urlsplit(url)
        port = parts.port  # raises where it is no port
    except ValueError:
        return None
    host = parts.netloc.rpartition("@")[2]
    if port is not None or host.endswith(":"):
        host = host.rpartition(":")[0]
    is_plain = _PLAIN.fullmatch(url) is not None and _HOST.fullmatch(host) is not None
    if parts.scheme not in _DEFAULT_PORTS or not is_plain or parts.netloc.count("@") > 1:
        return None
    return parts if _asked(url) == (parts.scheme, parts.hostname, port) else None


def _asked(url: str) -> tuple[str | None, str | None, int | None]:
    """Scheme, host and port of a URL as the HTTP client reads it; nothing where it refuses it."""
    try:
        prepared = requests.Request("POST", url).prepare().url
        read = parse_url(prepared or "")
    except (requests.RequestException, HTTPError, ValueError):
        return None, None, None
    return read.scheme, (read.host or "").lower().strip("[]"), read.port


def origin_of(parts: SplitResult) -> str:
    """Scheme, host and port of what `http_parts` returned: all of a URL that is ever shown.

    Equal for spellings that differ in letter case, default port, a last dot, or the form of an IP
    address.
    """
    host = _host(parts.hostname or "")
    if ":" in host:
        host = f"[{host}]"
    port = parts.port
    is_default = port is None or port == _DEFAULT_PORTS.get(parts.scheme)
    return f"{parts.scheme}://{host}" + ("" if is_default else f":{port}")


def _host(written: str) -> str:
    name = written.lower()
    name = name.rstrip(".") or name
    with contextlib.suppress(ValueError):
        found = ipaddress.ip_address(name)
        return str(getattr(found, "ipv4_mapped", None) or found)
    with contextlib.suppress(OSError):
        return socket.inet_ntoa(socket.inet_aton(name))
    return name
