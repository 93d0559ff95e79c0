"""Commands with which people ask a node of their own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

NODE = "http://127.0.0.1:8545"
"""Stands for the reader's own node."""


def ask_node(method: str, params: Sequence[Any]) -> str:
    """A command that asks a node; `params` are checked values, of hexadecimal digits and names."""
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)})
    return f"curl -fsS -H 'Content-Type: application/json' --data '{body}' {NODE}"
