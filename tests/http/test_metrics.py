"""Metrics for Prometheus: what a scrape gets, and what it does not."""

from pathlib import Path
from typing import Annotated

import pytest
from fastapi import Depends, FastAPI
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from loadonce import Handle, Model, Registry, Source, artifact, lock_directory
from loadonce.http import install
from loadonce.http.metrics import Collector
from loadonce.lifecycle.reporting import Overview, Report, statuses


def text(source: Source) -> str:
    return bytes(source.data).decode()


class Models(Registry):
    word: Model[str] = artifact("word.txt", loader=text)
    missing: Model[str] = artifact("missing.txt", loader=text, required=False)


class Others(Registry):
    word: Model[str] = artifact("word.txt", loader=text)


@pytest.fixture
def models(tmp_path: Path) -> Models:
    (tmp_path / "word.txt").write_text("word")
    lock_directory(tmp_path)
    return Models(root=tmp_path)


def app_of(models: Models, *, metrics: bool = True) -> FastAPI:
    app = FastAPI(lifespan=models.lifespan)
    install(app, models, metrics=metrics)

    def lengths(_word: str, items: list[str]) -> list[int]:
        if "" in items:
            raise ValueError(items)
        return [len(item) for item in items]

    @app.get("/length")
    async def length(word: Annotated[Handle[str], Depends(models.word)], of: str) -> list[int]:
        return await word.batch_many(lengths, of.split(","))

    return app


def scraped(text: str) -> dict[str, float]:
    """Each series, written as Prometheus does, and its value."""
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f'{key}="{value}"' for key, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}"] = sample.value
    return found


def test_a_scrape_tells_what_was_counted(models: Models) -> None:
    with TestClient(app_of(models), raise_server_exceptions=False) as client:
        client.get("/length?of=a,bb,ccc")
        client.get("/length?of=a,")
        answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert answer.headers["cache-control"] == "no-store"
    found = scraped(answer.text)
    assert found['loadonce_model_calls_total{model="word"}'] >= 5
    assert found['loadonce_model_errors_total{model="word"}'] >= 1
    assert found['loadonce_model_batch_size_bucket{le="2.0",model="word"}'] >= 1
    assert found['loadonce_model_batch_size_bucket{le="4.0",model="word"}'] >= 2
    count = found['loadonce_model_batch_size_count{model="word"}']
    assert found['loadonce_model_batch_size_bucket{le="+Inf",model="word"}'] == count
    assert found['loadonce_model_batch_size_sum{model="word"}'] >= 5
    assert found['loadonce_model_state{model="word",state="ready"}'] == 1
    assert found['loadonce_model_state{model="missing",state="failed"}'] == 1
    assert any(each.startswith('loadonce_model_placements{model="word"') for each in found)
    infos = [each for each in found if each.startswith("loadonce_model_info")]
    assert len(infos) == 1  # of what serves
    assert "loadonce_worker" not in answer.text  # no server of ours


def test_nothing_that_was_submitted_is_told(models: Models) -> None:
    with TestClient(app_of(models), raise_server_exceptions=False) as client:
        client.get("/length?of=canary,", headers={"X-Name": "canary"})
        assert "canary" not in client.get("/metrics?of=canary").text


def test_openmetrics_is_spoken_to_who_accepts_it(models: Models) -> None:
    with TestClient(app_of(models)) as client:
        headers = {"Accept": "application/openmetrics-text; version=1.0.0"}
        answer = client.get("/metrics", headers=headers)
    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert answer.text.endswith("# EOF\n")


def test_it_is_off_unless_asked_for_and_no_part_of_the_api(models: Models) -> None:
    with TestClient(app_of(models, metrics=False)) as client:
        assert client.get("/metrics").status_code == 404
    app = app_of(models)
    assert "/metrics" not in app.openapi()["paths"]


def test_workers_are_told_of_one_by_one_and_their_models_together(
    models: Models, tmp_path: Path
) -> None:
    others = Others(root=tmp_path)
    with models.loaded(), others.loaded():
        models.word.run(len)
        found = statuses([models, others])
        assert list(found) == ["word", "missing", "Others.word"]
        old = Report(1, 1, 5.0, 0, 40, found)  # leaving
        reports = [Report(1, 1, 9.0, 1, 2, found), old, Report(2, 1, 6.0, 0, 3, found)]
    told = {
        (sample.name, *sample.labels.values()): sample.value
        for family in Collector(Overview(reports)).collect()
        for sample in family.samples
    }
    assert told["loadonce_model_calls_total", "word"] == 3
    assert told["loadonce_model_calls_total", "Others.word"] == 0
    assert told["loadonce_model_state", "word", "ready"] == 3
    assert told["loadonce_model_disk_bytes", "word"] == 4
    assert told["loadonce_worker_requests_total", "1"] == 42
    assert told["loadonce_worker_requests_total", "2"] == 3
    assert told["loadonce_worker_restarts_total", "1"] == 1
    assert told["loadonce_worker_start_time_seconds", "1"] == 9
    assert ("loadonce_worker_memory_bytes", "2", "private") in told
