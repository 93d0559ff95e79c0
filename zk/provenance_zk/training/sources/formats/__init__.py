"""Readers of kinds of files, and the table of them by the ends of names."""
