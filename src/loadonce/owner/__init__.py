"""Owner processes: one process has a model's object, others send their calls to it."""
