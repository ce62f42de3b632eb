"""Public helpers for tests of apps that use loadonce."""
