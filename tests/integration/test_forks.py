"""Objects of every supported library, loaded before a fork, work in each process after it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

MAKE = """
import joblib, lightgbm, numpy as np, pyarrow as pa, pyarrow.parquet, torch, xgboost
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from onnx import TensorProto, helper, save
from loadonce import lock_directory

X, y = np.random.default_rng(0).random((400, 4)), np.arange(400) % 2
joblib.dump(HistGradientBoostingClassifier(max_iter=20).fit(X, y), "histogram.joblib")
joblib.dump(RandomForestClassifier(20, n_jobs=2).fit(X, y), "forest.joblib")
xgboost.train({}, xgboost.DMatrix(X, y), 10).save_model("boost.ubj")
lightgbm.train({"verbose": -1}, lightgbm.Dataset(X, y), 10).save_model("light.lgb")
pa.parquet.write_table(pa.table({"a": list(range(5000))}), "table.parquet")
torch.save({"w": torch.rand(300, 300)}, "weights.pt")
weights = helper.make_tensor("w", TensorProto.FLOAT, [4, 256], np.random.rand(1024))
node = helper.make_node("MatMul", ["x", "w"], ["y"])
x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 4])
z = helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 256])
graph = helper.make_graph([node], "g", [x], [z], [weights])
opset = [helper.make_opsetid("", 17)]
save(helper.make_model(graph, ir_version=10, opset_imports=opset), "net.onnx")
lock_directory(".")
"""

FORK = """
import asyncio, gc, os, signal, sys, time
from loadonce.system.one_thread import OneThread
OneThread().set()
from loadonce import Model, Registry, artifact
from loadonce.server.workers.native_jobs import run_jobs_alone

class Models(Registry):
    histogram: Model[object] = artifact("histogram.joblib")
    forest: Model[object] = artifact("forest.joblib")
    boost: Model[object] = artifact("boost.ubj")
    light: Model[object] = artifact("light.lgb")
    table: Model[object] = artifact("table.parquet")
    weights: Model[object] = artifact("weights.pt")
    net: Model[object] = artifact("net.onnx")

models = Models()
asyncio.run(models.preload())
v = {model.name: model.slot.inherited.value for model in models}
run_jobs_alone(v)

def call():
    import numpy as np, torch, xgboost, pyarrow.compute
    rows = np.random.default_rng(1).random((300, 4))
    return [
        float(v["histogram"].predict_proba(rows)[:, 1].sum()),
        float(v["forest"].predict_proba(rows)[:, 1].sum()),
        float(v["boost"].predict(xgboost.DMatrix(rows)).sum()),
        float(v["light"].predict(rows).sum()),
        pyarrow.compute.sum(v["table"]["a"]).as_py(),
        float((v["weights"]["w"] @ v["weights"]["w"]).sum()),
        float(v["net"].run(None, {"x": rows.astype("float32")})[0].sum()),
    ]

def child(write):
    os.write(write, repr(call()).encode())
    v.clear(); models.__dict__.clear(); gc.collect()  # destructors too
    os._exit(0)

if "called" in sys.argv:
    call()
gc.collect(); gc.freeze()
answers, slowest = set(), 0.0
for number in range(int(sys.argv[1])):
    read, write = os.pipe()
    began = time.monotonic()
    pid = os.fork()
    if pid == 0:
        child(write)
    os.close(write)
    signal.alarm(60)
    text = b""
    while part := os.read(read, 4096):
        text += part
    os.close(read)
    assert os.waitpid(pid, 0)[1] == 0, number
    signal.alarm(0)
    slowest = max(slowest, time.monotonic() - began)
    answers.add(text)
assert len(answers) == 1, answers
assert slowest < 5.0, slowest  # 2 s on an idle machine
print("all", number + 1)
"""


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for name in ("joblib", "lightgbm", "pyarrow", "torch", "xgboost", "sklearn", "onnx"):
        pytest.importorskip(name)
    path = tmp_path_factory.mktemp("artifacts")
    subprocess.run([sys.executable, "-c", MAKE], cwd=path, check=True)
    return path


@pytest.mark.parametrize(
    "count", [10, pytest.param(1000, marks=[pytest.mark.nightly, pytest.mark.timeout(3000)])]
)
def test_each_forked_process_predicts_the_same_and_ends(artifacts: Path, count: int) -> None:
    command = [sys.executable, "-c", FORK, str(count)]
    done = subprocess.run(command, cwd=artifacts, capture_output=True, text=True)
    assert f"all {count}" in done.stdout, done.stderr[-3000:]


def test_a_team_of_threads_does_not_survive(artifacts: Path) -> None:
    """The control: with the threads on, one call before the fork is enough to hang what follows."""
    code = (
        "import joblib, os, signal, numpy\n"
        "model = joblib.load('histogram.joblib')\n"
        "rows = numpy.random.rand(300, 4)\n"
        "model.predict(rows)\n"
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    signal.alarm(3)\n"
        "    model.predict(rows)\n"
        "    os._exit(0)\n"
        "print(os.waitpid(pid, 0)[1])\n"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=artifacts, capture_output=True, text=True, env=environment
    )
    assert done.stdout.split() == ["14"], done.stderr  # SIGALRM
