"""The table of statements, and how each language and document writes it."""
