"""One process that serves one app: its listener, its start, its requests, its end."""
