"""Fitted estimators to ONNX graphs that give the same answers: convert once, serve without them."""
