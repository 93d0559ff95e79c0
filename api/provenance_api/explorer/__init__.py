"""What the explorer shows: runs, records, heads, proofs, datasets and releases, by the index.

Everything here comes from the database, so from the evidence folders of this service, which
anybody may have written. Nothing here is a verdict. Each answer says what was compared: records
with the root of a signed head, and that head with the chain.
"""
