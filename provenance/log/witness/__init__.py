"""What witnesses sign: C2SP notes, cosignatures, and the request by which a log asks for one.

Sources: c2sp.org/signed-note, c2sp.org/tlog-cosignature, c2sp.org/tlog-witness. What a witness
itself does is in `provenance.witness`.
"""
