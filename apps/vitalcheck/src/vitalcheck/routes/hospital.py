"""Hospital stays."""

import time
from collections.abc import Mapping
from typing import Annotated

import pyarrow
from fastapi import APIRouter, Depends, Query

from loadonce import Handle
from loadonce.http import DirectRoute
from vitalcheck.analytics import HospitalStays
from vitalcheck.answers import Analytics, Envelope
from vitalcheck.deps import Replying
from vitalcheck.models import models

router = APIRouter(prefix="/hospital", tags=["hospital"], route_class=DirectRoute)

Text = Annotated[
    str | None,
    Query(max_length=100, description="Part of the name, in either case; absent: all."),
]


@router.get("/analytics")
async def analytics(
    tables: Annotated[Handle[Mapping[str, pyarrow.Table]], Depends(models.hospital_analytics)],
    stays: Annotated[Handle[HospitalStays], Depends(models.hospital_stays)],
    reply: Replying,
    department: Text = None,
    condition: Text = None,
    limit: Annotated[int, Query(ge=1, le=1000, description="Most rows of each list.")] = 20,
) -> Envelope[Analytics]:
    """Length of stay and readmission by department (130 US hospitals, 1999-2008, stays with
    diabetes), cost and length of stay by condition (New York State, 2016); most stays first."""
    started = time.perf_counter()
    data = Analytics(
        departments=stays.value.by_department(department, limit),
        conditions=stays.value.by_condition(condition, limit),
    )
    return reply(data, tables, (time.perf_counter() - started) * 1e3)
