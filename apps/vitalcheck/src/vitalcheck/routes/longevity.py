"""Life expectancy of countries."""

from typing import Annotated

from fastapi import APIRouter, Depends

from loadonce import Handle, Regressor
from loadonce.http import DirectRoute
from vitalcheck.answers import Envelope, LifeEstimate
from vitalcheck.deps import CardsHandle, Explain, Replying, timed
from vitalcheck.models import models
from vitalcheck.risks import ask, case_of, explanation
from vitalcheck.schemas import LifeExpectancy
from vitalcheck.scoring import estimate

router = APIRouter(prefix="/longevity", tags=["longevity"], route_class=DirectRoute)


@router.post("/life-expectancy", response_model_exclude_unset=True)
async def life_expectancy(
    body: LifeExpectancy,
    model: Annotated[Handle[Regressor], Depends(models.life_expectancy)],
    cards: CardsHandle,
    reply: Replying,
    explain: Explain = True,
) -> Envelope[LifeEstimate]:
    """A country's life expectancy at birth (WHO figures 2000-2016), with a 90 % interval."""
    card = cards.value[model.name]
    answer = await timed(ask(model, estimate, case_of(card, body, explain)))
    years = answer.result.prediction
    data = LifeEstimate(
        years=years,
        interval=[max(years - card.below, 0.0), years + card.above],
        **explanation(card, body, answer.result),
    )
    return reply(data, model, answer.ms)
