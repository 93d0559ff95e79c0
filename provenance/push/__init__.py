"""Handing a run's evidence to a service: which files, in which pieces, and how both ends agree."""
