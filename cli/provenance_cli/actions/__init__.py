"""What the small commands do, as plain functions. The jobs call them as their tasks."""
