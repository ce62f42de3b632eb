"""Train a small classifier on scikit-learn's iris data: python make_model.py"""

from pathlib import Path

import joblib
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

iris = load_iris()
pipeline = make_pipeline(StandardScaler(), LogisticRegression())
pipeline.fit(iris.data[:, 2:], iris.target_names[iris.target])  # petal length and width, in cm

Path("models").mkdir(exist_ok=True)
joblib.dump(pipeline, "models/iris.joblib")
