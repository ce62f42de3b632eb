"""A fitted estimator to an ONNX graph that gives the same answers, or `Unconvertible`."""
