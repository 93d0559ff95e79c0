"""What auditors sign after they trained segments of a run again, and which segments are drawn."""
