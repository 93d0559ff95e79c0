"""Commands of whoever runs the service for several teams: tables, the service's role, tokens."""
