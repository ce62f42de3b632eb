"""What the operating system gives: channels, pages, signals, deadlines, systemd."""
