"""What the processes of a server tell of themselves, and who reads it."""
