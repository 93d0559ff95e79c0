"""The table of statements, and its form in each language and document."""
