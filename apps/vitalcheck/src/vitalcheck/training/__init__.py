"""Training: public data -> pipelines, reference tables, model cards and the lock file."""
