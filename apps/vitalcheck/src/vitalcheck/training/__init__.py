"""Training: public data -> pipelines, reference tables, model cards and the lock file."""

import os

# onnxruntime reports to its vendor unless this is set when it is imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
