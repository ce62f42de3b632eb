"""The hospital reference tables: stays by department, cost by condition."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow

from vitalcheck.training.artifacts import Facts, Report, save_table
from vitalcheck.training.data import HOSPITALS, SPARCS
from vitalcheck.training.evaluation import SMALLEST_CELL

DEPARTMENTS = pyarrow.schema(
    [
        ("department", pyarrow.string()),
        ("stays", pyarrow.int32()),
        ("mean_days", pyarrow.float64()),
        ("median_days", pyarrow.float64()),
        ("p90_days", pyarrow.float64()),
        ("readmitted_30d", pyarrow.float64()),
    ]
)
"""By department, most stays first; `readmitted_30d` is the share of stays followed by another
within 30 days, None where fewer than 11 were or were not."""
CONDITIONS = pyarrow.schema(
    [
        ("condition", pyarrow.string()),
        ("stays", pyarrow.int32()),
        ("mean_cost_usd", pyarrow.float64()),
        ("mean_days", pyarrow.float64()),
    ]
)
"""By condition group (APR MDC), most stays first."""
UNKNOWN = "Unknown"
_NOT_A_DEPARTMENT = ("PhysicianNotFound",)


def train_hospital(
    data: Path, out: Path, *, seed: int = 0, report: Report, quick: bool = False
) -> Facts:
    """Write `out/hospital_{departments,conditions}.parquet`; return the facts for their card."""
    report("reading departments", 0.0)
    stays = _read_stays(data)
    departments = department_rows(stays)
    report("reading conditions", 0.7)
    discharges = pd.read_csv(data / SPARCS)
    conditions = condition_rows(discharges)
    _save(departments, DEPARTMENTS, out / "hospital_departments.parquet")
    _save(conditions, CONDITIONS, out / "hospital_conditions.parquet")
    report("done", 1.0)
    return {
        "rows": len(stays) + len(discharges),
        "columns": {
            "departments": {field.name: str(field.type) for field in DEPARTMENTS},
            "conditions": {field.name: str(field.type) for field in CONDITIONS},
        },
        "table_rows": {"departments": len(departments), "conditions": len(conditions)},
        "left_out": {
            "departments_below_11_stays": int(_groups(stays, "department") - len(departments)),
            "conditions_below_11_stays": int(
                _groups(discharges, "APR MDC Description") - len(conditions)
            ),
        },
        "validation": "none: tables of counts, means and quantiles, not models",
    }


def department_rows(stays: pd.DataFrame) -> pd.DataFrame:
    """`DEPARTMENTS` from stays with department, days and is_readmitted."""
    rows = []
    for name, group in stays.groupby("department"):
        if len(group) < SMALLEST_CELL:
            continue
        days, returned = group["days"], int(group["is_readmitted"].sum())
        is_shown = SMALLEST_CELL <= returned <= len(group) - SMALLEST_CELL
        rows.append(
            {
                "department": str(name),
                "stays": len(group),
                "mean_days": round(float(days.mean()), 2),
                "median_days": float(days.median()),
                "p90_days": float(days.quantile(0.9)),
                "readmitted_30d": round(returned / len(group), 4) if is_shown else None,
            }
        )
    return _most_first(rows, DEPARTMENTS)


def condition_rows(discharges: pd.DataFrame) -> pd.DataFrame:
    """`CONDITIONS` from SPARCS discharges; "120 +" days count as 120."""
    days = discharges["Length of Stay"].astype(str).str.extract(r"(\d+)")[0].astype(float)
    costs = pd.to_numeric(discharges["Total Costs"])
    rows = [
        {
            "condition": str(name),
            "stays": len(index),
            "mean_cost_usd": round(float(costs.loc[index].mean()), 0),
            "mean_days": round(float(days.loc[index].mean()), 2),
        }
        for name, index in discharges.groupby("APR MDC Description").groups.items()
        if len(index) >= SMALLEST_CELL
    ]
    return _most_first(rows, CONDITIONS)


def _read_stays(data: Path) -> pd.DataFrame:
    raw = pd.read_csv(
        data / HOSPITALS,
        keep_default_na=False,
        na_values=["?"],
        usecols=["medical_specialty", "time_in_hospital", "readmitted"],
    )
    specialty = raw["medical_specialty"]
    return pd.DataFrame(
        {
            "department": specialty.mask(specialty.isin(_NOT_A_DEPARTMENT)).fillna(UNKNOWN),
            "days": raw["time_in_hospital"],
            "is_readmitted": raw["readmitted"] == "<30",
        }
    )


def _groups(rows: pd.DataFrame, column: str) -> int:
    return int(rows[column].nunique())


def _most_first(rows: list[dict[str, object]], schema: pyarrow.Schema) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=schema.names)
    return table.sort_values(["stays", schema.names[0]], ascending=[False, True])


def _save(rows: pd.DataFrame, schema: pyarrow.Schema, path: Path) -> None:
    cells = rows.astype(object).where(rows.notna(), None)
    save_table({name: cells[name].tolist() for name in schema.names}, schema, path)
