"""Health spending."""

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Depends

from loadonce import Handle, Regressor
from loadonce.http import DirectRoute
from vitalcheck.answers import Cost, Envelope
from vitalcheck.deps import CardsHandle, Explain, Replying, timed
from vitalcheck.models import models
from vitalcheck.risks import ask, case_of, explanation
from vitalcheck.schemas import Insurance
from vitalcheck.scoring import cost_interval, spend

router = APIRouter(prefix="/insurance", tags=["insurance"], route_class=DirectRoute)

NOMINAL_COVERAGE = 0.90


@router.post("/cost", response_model_exclude_unset=True)
async def cost(
    body: Insurance,
    model: Annotated[Handle[Mapping[str, Regressor]], Depends(models.insurance)],
    cards: CardsHandle,
    reply: Replying,
    explain: Explain = True,
) -> Envelope[Cost]:
    """A year's total health spending (US household survey MEPS, 2015), with a 90 % interval."""
    card = cards.value[model.name]
    answer = await timed(ask(model, spend, case_of(card, body, explain)))
    expected = answer.result.expected
    data = Cost(
        expected_usd=expected.prediction,
        interval_usd=cost_interval(answer.result, card.below, card.above),
        coverage=NOMINAL_COVERAGE,
        **explanation(card, body, expected),
    )
    return reply(data, model, answer.ms)
