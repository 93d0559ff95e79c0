"""The service: `GET /verify/<model_id>`, its verdict page, and a database for look-ups.

Nothing here is a source of truth. `provenance.verify` makes every verdict, from the chain and the
run folders. The database only turns names into digests and lists releases; it can be rebuilt from
the run folders at any time.
"""
