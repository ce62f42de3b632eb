"""Train two small models on scikit-learn's bundled data: python make_model.py

With `--only-required` the optional one is left out, to see how the app copes.
"""

import sys
from pathlib import Path

import joblib
from sklearn.datasets import load_diabetes, load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import Ridge

Path("models").mkdir(exist_ok=True)

wine = load_wine()
cultivar = RandomForestClassifier(n_estimators=20, random_state=0)
cultivar.fit(wine.data[:, [0, 12]], wine.target_names[wine.target])  # alcohol, proline
joblib.dump(cultivar, "models/cultivar.joblib")

if "--only-required" not in sys.argv:
    diabetes = load_diabetes(scaled=False)
    progression = Ridge().fit(diabetes.data[:, [0, 2]], diabetes.target)  # age, BMI
    joblib.dump(progression, "models/progression.joblib")
