"""What became of what: the artifacts that records name, and the rules by which they follow."""
