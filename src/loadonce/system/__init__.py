"""What the operating system gives: channels, pages, signals, deadlines; how processes end."""
