"""What the chain says of transactions, blocks, addresses, keys and revocations, for pages.

All of it is an endpoint's word about the pinned chain, and the same for everybody who asks. Beside
it stands what the index has: only what whoever asks may see.
"""
