"""Sleep assessment."""

from typing import Annotated

from fastapi import APIRouter, Depends

from loadonce import Classifier, Handle
from loadonce.http import DirectRoute
from vitalcheck.answers import Envelope, SleepRisk
from vitalcheck.deps import CardsHandle, Explain, Replying
from vitalcheck.models import models
from vitalcheck.risks import risk_of
from vitalcheck.schemas import Sleep
from vitalcheck.scoring import lifestyle_score

router = APIRouter(prefix="/sleep", tags=["sleep"], route_class=DirectRoute)


@router.post("/assessment", response_model_exclude_unset=True)
async def assessment(
    body: Sleep,
    model: Annotated[Handle[Classifier], Depends(models.sleep)],
    cards: CardsHandle,
    reply: Replying,
    explain: Explain = True,
) -> Envelope[SleepRisk]:
    """The risk of trouble sleeping (US health survey NHANES, 2009-2012) and a lifestyle score."""
    answer = await risk_of(model, cards, body, explain)
    data = SleepRisk(**answer.data, lifestyle_score=lifestyle_score(body.row()))
    return reply(data, model, answer.ms)
