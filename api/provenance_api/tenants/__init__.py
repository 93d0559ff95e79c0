"""Tenants: their evidence, their tokens, and for whom a request acts."""
