"""Several processes that serve one app: supervisor, zygote, workers."""
