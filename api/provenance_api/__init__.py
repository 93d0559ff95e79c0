"""The service: `GET /verify/<model_id>`, its verdict page, and the database that projects run folders for look-ups.

Nothing here is a source of truth. A verdict comes from `provenance.verify` over chain and run folders; the database
only turns names into digests and lists what is there, and can be rebuilt from the folders at any time.
"""
