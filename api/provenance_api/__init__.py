"""The service: `GET /verify/<model_id>`, its verdict page, and a database for look-ups.

Nothing here is a source of truth. A verdict comes from `provenance.verify` over chain and run
folders. The database only turns names into digests and lists what is there; it can be rebuilt from
the folders at any time.
"""
