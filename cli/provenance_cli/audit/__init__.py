"""Commands about training that is done again: who draws, who does it, and who signs for it."""
