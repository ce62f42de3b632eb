"""States, versions, models, handles, the manager and the registry: the heart."""
