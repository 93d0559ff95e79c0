"""The only place that talks to a chain. `rpc` asks, `abi` codes what is asked."""
