"""The only place that talks to a chain. `web3_adapter` is the only file that imports web3."""
