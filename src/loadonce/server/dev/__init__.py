"""The development server: models stay loaded while code changes."""
