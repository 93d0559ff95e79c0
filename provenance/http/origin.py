"""Where a URL leads, in the one form in which it is shown and compared.

Two spellings of one endpoint would count twice in a quorum. Names are not looked up: that two of
them lead to one machine is not known here.

Source: RFC 3986, 6.2 (normalization); `inet_aton` of POSIX, which resolvers use for `127.1`.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from urllib.parse import SplitResult, urlsplit

from requests.exceptions import InvalidURL
from requests.utils import unquote_unreserved

_DEFAULT_PORTS = {"http": 80, "https": 443}


def http_parts(url: str) -> SplitResult | None:
    """The parts of a URL of http or https with a host and, if it names one, a valid port.

    None for anything else. The text may be attacker-controlled, and hold access keys.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises where it is no port
    except ValueError:
        return None
    return parts if parts.scheme in ("http", "https") and parts.hostname else None


def origin_of(parts: SplitResult) -> str:
    """Scheme, host and port of a URL with a host and a valid port: all of it that is ever shown.

    Equal for spellings that differ in letter case, default port, a last dot, percent signs, scripts
    of the same name (IDNA), or the form of an IP address.
    """
    host = _host(parts.hostname or "")
    if ":" in host:
        host = f"[{host}]"
    port = parts.port
    is_default = port is None or port == _DEFAULT_PORTS.get(parts.scheme)
    return f"{parts.scheme}://{host}" + ("" if is_default else f":{port}")


def _host(written: str) -> str:
    name = written.lower()
    with contextlib.suppress(InvalidURL):
        name = unquote_unreserved(name).lower()  # as it is done before the name is looked up
    with contextlib.suppress(UnicodeError):  # no name of the DNS: compared as it is
        name = name.encode("idna").decode("ascii").lower()
    name = name.rstrip(".") or name
    with contextlib.suppress(ValueError):
        found = ipaddress.ip_address(name)
        return str(getattr(found, "ipv4_mapped", None) or found)
    with contextlib.suppress(OSError):
        return socket.inet_ntoa(socket.inet_aton(name))
    return name
