"""A witness: what it cosigns, what it remembers, its key; and how it is asked.

Source: c2sp.org/tlog-witness. Its HTTP route is in `provenance_api.witness`.
"""
