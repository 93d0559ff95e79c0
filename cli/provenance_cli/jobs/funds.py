"""Whether an account can pay for what a job plans."""

from __future__ import annotations

from provenance.chain.rpc import Rpc
from provenance.errors import UnavailableError
from provenance_cli.setup.deployment import require_funds

_WEI = 10**18


def require_balance(rpc: Rpc, address: str, gas: int) -> None:
    """Check that an account can pay for so much gas at the current base fee.

    Raises:
        UnavailableError: it cannot; names the account, what it has and what the plan needs.
    """
    require_funds(rpc, address)
    needed, balance = rpc.base_fee_wei() * gas, rpc.balance_wei(address)
    if balance < needed:
        raise UnavailableError(
            "the signing key's account cannot pay for the planned gas",
            where=f"chain {rpc.chain_id()}, account {address.lower()}",
            expected=f">= {needed / _WEI:.6f} ETH for {gas:,} gas at the current base fee",
            actual=f"{balance / _WEI:.6f} ETH",
            hint="send it the difference and run again",
        )
