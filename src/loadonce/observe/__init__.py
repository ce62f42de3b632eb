"""What happens, told: events, statistics, memory, progress."""
