"""Risks of diabetes, heart disease, stroke and breast cancer, and several at once."""

import asyncio
from contextlib import AsyncExitStack
from typing import Annotated, Any

from fastapi import APIRouter, Depends

from loadonce import Classifier, Handle, Model
from loadonce.http import DirectRoute
from vitalcheck.answers import ComprehensiveRisk, Envelope, ProfileRisk, Risk
from vitalcheck.deps import CardsHandle, Explain, Replying
from vitalcheck.models import models
from vitalcheck.risks import RiskAnswer, risk_of
from vitalcheck.schemas import BreastCancer, Comprehensive, Diabetes, Heart, Profile, Stroke
from vitalcheck.scoring import highest

router = APIRouter(prefix="/risk", tags=["risk"], route_class=DirectRoute)


@router.post("/diabetes", response_model_exclude_unset=True)
async def diabetes(
    body: Diabetes,
    model: Annotated[Handle[Classifier], Depends(models.diabetes)],
    cards: CardsHandle,
    reply: Replying,
    explain: Explain = True,
) -> Envelope[Risk]:
    """The risk of diabetes within five years (trained on women of Pima heritage)."""
    answer = await risk_of(model, cards, body, explain)
    return reply(Risk(**answer.data), model, answer.ms)


@router.post("/heart", response_model_exclude_unset=True)
async def heart(
    body: Heart,
    model: Annotated[Handle[Classifier], Depends(models.heart)],
    cards: CardsHandle,
    reply: Replying,
    explain: Explain = True,
) -> Envelope[Risk]:
    """The risk of coronary heart disease (patients referred for angiography, four hospitals)."""
    answer = await risk_of(model, cards, body, explain)
    return reply(Risk(**answer.data), model, answer.ms)


@router.post("/stroke", response_model_exclude_unset=True)
async def stroke(
    body: Stroke,
    model: Annotated[Handle[Classifier], Depends(models.stroke)],
    cards: CardsHandle,
    reply: Replying,
    explain: Explain = True,
) -> Envelope[Risk]:
    """The risk of having had a stroke (adults of the US household survey MEPS, 2015)."""
    answer = await risk_of(model, cards, body, explain)
    return reply(Risk(**answer.data), model, answer.ms)


@router.post("/breast-cancer", response_model_exclude_unset=True)
async def breast_cancer(
    body: BreastCancer,
    model: Annotated[Handle[Classifier], Depends(models.breast_cancer)],
    cards: CardsHandle,
    reply: Replying,
    explain: Explain = True,
) -> Envelope[Risk]:
    """The probability that a measured breast mass is malignant (Wisconsin Diagnostic set)."""
    answer = await risk_of(model, cards, body, explain)
    return reply(Risk(**answer.data), model, answer.ms)


@router.post("/comprehensive", response_model_exclude_unset=True)
async def comprehensive(
    body: Comprehensive, cards: CardsHandle, reply: Replying, explain: Explain = True
) -> Envelope[ComprehensiveRisk]:
    """Several risks of one person, computed at the same time; only the models asked for count."""
    asked: list[tuple[Model[Classifier], Profile | None]] = [
        (models.diabetes, body.diabetes),
        (models.heart, body.heart),
        (models.stroke, body.stroke),
    ]
    async with AsyncExitStack() as leases:
        given = [
            (await leases.enter_async_context(model.lease()), profile)
            for model, profile in asked
            if profile is not None
        ]
        found = await _all_at_once(given, cards, explain)
        profiles = {
            handle.name: ProfileRisk(**answer.data, inference_ms=answer.ms)
            for (handle, _), answer in zip(given, found, strict=True)
        }
        overall = highest(profile.risk_level for profile in profiles.values())
        data = ComprehensiveRisk(profile=profiles, overall=overall)
        slowest = max(answer.ms for answer in found)
        return reply(data, [handle for handle, _ in given], slowest)


async def _all_at_once(
    given: list[tuple[Handle[Classifier], Profile]], cards: Handle[Any], explain: bool
) -> list[RiskAnswer]:
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(risk_of(handle, cards, profile, explain))
                for handle, profile in given
            ]
    except ExceptionGroup as failures:
        # The first failure answers the request, as it would alone.
        raise failures.exceptions[0] from failures
    return [task.result() for task in tasks]
