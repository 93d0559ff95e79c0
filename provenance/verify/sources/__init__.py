"""Where evidence lies, and what names in it mean."""
