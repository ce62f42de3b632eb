"""A run in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from . import bare, shows
from .contenders import BY_NAME, RATES, WORKLOADS
from .figures import Figure, figure
from .shows import Read
from .state import State

ABSENT = "–"
_MODELS = {
    "pipeline": "Logistic-regression pipeline",
    "forest": "Forest of 200 trees",
    "cnn": "Small convolutional network",
    "vitalcheck": "VitalCheck, risk of diabetes",
}


def document(state: State) -> str:
    """The generated section of docs/benchmarks.md."""
    parts = [_facts(state), *_workloads(state), _bare(state), _shows(state), _skipped(state)]
    return "\n\n".join(part for part in parts if part)


def number(value: float) -> str:
    """Three digits that count, and commas: 1,234 and 0.12."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def spread(found: Figure | None, factor: float = 1.0) -> str:
    """A median with its range in brackets, where there are several rounds."""
    if found is None:
        return ABSENT
    text = number(found.median * factor)
    if found.rounds == 1:
        return text
    return f"{text} ({number(found.low * factor)}-{number(found.high * factor)})"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of Markdown; numbers to the right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _facts(state: State) -> str:
    machine, options = state.machine, state.options
    compared = max((one.get("rows_compared", 0) for one in state.records.values()), default=0)
    largest = max((one.get("largest_difference", 0.0) for one in state.records.values()), default=0)
    return (
        f"Measured {machine.get('date', 'once')} on {machine.get('processor', 'a machine')}, "
        f"{machine.get('cores', '?')} cores shared by server and clients, "
        f"{machine.get('system', '')}: {options['rounds']} interleaved rounds of "
        f"{number(options['seconds'])} s for each figure; medians, and ranges in brackets. "
        f"Each contender answered {compared} rows before it was loaded, each as the original "
        f"model does when asked for one row at a time: the same labels, and probabilities that "
        f"differ by at most {largest:.1g}."
    )


def _workloads(state: State) -> Iterator[str]:
    for workload in WORKLOADS:
        names = [name for its, name in state.pairs() if its == workload and name != bare.NAME]
        names = [name for name in BY_NAME if name in names]
        if names:
            yield f"### {_MODELS[workload]}"
            yield _throughput(state, workload, names)
            yield _latency(state, workload, names)


def _over(state: State, workload: str, name: str, read: Read) -> Figure | None:
    found = (read(record) for record in state.rounds_of(workload, name).values())
    return figure(value for value in found if value is not None)


def _throughput(state: State, workload: str, names: Sequence[str]) -> str:
    clients = [int(one) for one in state.options["concurrency"]]
    head = ["requests/s", *(f"{one} client{'s' * (one > 1)}" for one in clients)]
    head += ["failed", "start, s", "memory, MB"]
    rows = []
    for name in names:
        cells = [spread(_over(state, workload, name, shows.load(one))) for one in clients]
        failures = (_over(state, workload, name, shows.load(one, "failed")) for one in clients)
        failed = sum(one.high for one in failures if one is not None)
        start = spread(_over(state, workload, name, shows.plain("start_seconds")))
        memory = spread(_over(state, workload, name, shows.plain("loaded_bytes")), 1e-6)
        rows.append([name, *cells, f"{failed:.0f}", start, memory])
    return table(head, rows)


def _latency(state: State, workload: str, names: Sequence[str]) -> str:
    clients = [int(one) for one in state.options["concurrency"]]
    has_liveness = workload == "forest"
    head = ["p50 / p95 / p99, ms", *(f"{one} client{'s' * (one > 1)}" for one in clients)]
    head.append(f"{RATES[workload]} a second" if workload in RATES else "fixed rate")
    head += ["liveness route, saturated: p50 / p99"] if has_liveness else []
    rows = []
    for name in names:
        cells = [_three(state, workload, name, one) for one in clients]
        cells.append(_part(state, workload, name, "paced", ("p50", "p95", "p99")))
        if has_liveness:
            cells.append(_part(state, workload, name, "liveness", ("p50", "p99")))
        rows.append([name, *cells])
    return table(head, rows)


def _three(state: State, workload: str, name: str, clients: int) -> str:
    fields = ("p50", "p95", "p99")
    found = [_over(state, workload, name, shows.load(clients, field)) for field in fields]
    return " / ".join(number(one.median) if one else ABSENT for one in found)


def _part(state: State, workload: str, name: str, part: str, fields: Sequence[str]) -> str:
    def median(field: str) -> str:
        found = _over(state, workload, name, lambda record: record.get(part, {}).get(field))
        return number(found.median) if found else ABSENT

    return " / ".join(median(field) for field in fields)


def _bare(state: State) -> str:
    rows = []
    for workload in bare.WORKLOADS:
        keys = ("sklearn_1", "sklearn_64", "onnx_1", "onnx_64")
        cells = [spread(_over(state, workload, bare.NAME, _timed(key))) for key in keys]
        if any(cell != ABSENT for cell in cells):
            rows.append([_MODELS[workload], *cells])
    if not rows:
        return ""
    head = ["the model's call alone, µs a row", "scikit-learn, 1 row", "64 rows"]
    return table([*head, "ONNX Runtime, 1 row", "64 rows"], rows)


def _timed(key: str) -> Read:
    return lambda record: record["microseconds"].get(key)


def _shows(state: State) -> str:
    rows = []
    for goal in shows.goals():
        found = goal.measure(state)
        sign = "≤ " if goal.is_ceiling else ""
        bounds = [f"{sign}{bound:g} {goal.unit}" for bound in (goal.reach, goal.aim)]
        measured = f"{spread(found)} {goal.unit}" if found else ABSENT
        rows.append([goal.text, measured, *bounds, goal.verdict(found)])
    head = ["what loadonce sets out to show", "measured", "reach", "aim for", "verdict"]
    return f"### Aims\n\n{table(head, rows)}"


def _skipped(state: State) -> str:
    if not state.skipped:
        return ""
    lines = [f"- {where}: {_one_line(reason)}" for where, reason in state.skipped.items()]
    return "### Skipped\n\n" + "\n".join(lines)


def _one_line(text: str) -> str:
    return " ".join(text.split())[:300]
