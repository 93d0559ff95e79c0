"""Mutants of the contracts and of the circuits, and the tests that are run against them."""
