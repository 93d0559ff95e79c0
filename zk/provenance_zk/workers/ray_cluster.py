"""Connecting this process with a Ray cluster, or with a Ray that runs on this machine only."""

from __future__ import annotations

from typing import Any

import ray

from provenance.errors import UnavailableError
from provenance_zk.workers.names import RAY_HERE

_HINT = (
    "ray:local needs memory and a writable /tmp; ray:// a head node with --ray-client-server-port, "
    "and RAY_AUTH_MODE=token and RAY_AUTH_TOKEN if the cluster has a token"
)


def connect(address: str, **options: Any) -> None:
    """Connect to Ray; `ray.shutdown()` ends that.

    Args:
        address: `ray:local` or `ray://HOST:PORT`.
        options: further arguments of `ray.init`.

    Raises:
        UnavailableError: the cluster is out of reach, or this machine cannot start one.
    """
    if address == RAY_HERE:
        options = {"include_dashboard": False, "_node_ip_address": "127.0.0.1", **options}
    try:
        ray.init(
            "local" if address == RAY_HERE else address,
            configure_logging=False,
            log_to_driver=False,
            **options,
        )
    except Exception as error:  # Ray raises a bare Exception when its processes do not start
        ray.shutdown()
        raise UnavailableError(
            "cannot reach Ray", where=address, actual=error, hint=_HINT
        ) from error
