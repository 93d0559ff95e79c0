"""What the small commands do, as plain functions; jobs compose them into the four commands."""
