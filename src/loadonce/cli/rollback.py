"""`loadonce rollback`: see `reload`."""

from .reload import rollback

__all__ = ["rollback"]
