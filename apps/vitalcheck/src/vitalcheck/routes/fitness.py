"""Fitness figures among other people's days."""

import time
from typing import Annotated

import pyarrow
from fastapi import APIRouter, Depends

from loadonce import Handle
from loadonce.http import DirectRoute
from vitalcheck.answers import Envelope, Percentiles, Reference
from vitalcheck.deps import Replying
from vitalcheck.models import models
from vitalcheck.percentiles import ReferenceDays
from vitalcheck.schemas import METRICS, Fitness

router = APIRouter(prefix="/fitness", tags=["fitness"], route_class=DirectRoute)


@router.post("/percentiles")
async def percentiles(
    body: Fitness,
    table: Annotated[Handle[pyarrow.Table], Depends(models.fitbit_percentiles)],
    days: Annotated[Handle[ReferenceDays], Depends(models.reference_days)],
    reply: Replying,
) -> Envelope[Percentiles]:
    """Where a day's figures stand among those of people of the same sex and age band, or of the
    next larger group where too few of them were measured."""
    row = body.row()
    given = tuple(metric for metric in METRICS if row[metric] is not None)
    started = time.perf_counter()
    found = days.value.compare(row, given)
    ms = (time.perf_counter() - started) * 1e3
    reference = Reference(group=found.group, days=found.days, people=found.people)
    return reply(Percentiles(percentiles=dict(found.percentiles), reference=reference), table, ms)
