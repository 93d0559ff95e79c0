"""What earlier releases wrote into logs."""
