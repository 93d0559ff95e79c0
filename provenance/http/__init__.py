"""What libraries leave open about HTTP: when two URLs are one endpoint; the time of an answer."""
