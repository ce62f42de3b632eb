"""What this server has loaded."""

from fastapi import APIRouter

from loadonce import ModelStatus
from loadonce.http import DirectRoute
from vitalcheck.answers import Artifact, Artifacts, Envelope
from vitalcheck.cards import ARTIFACTS, Card
from vitalcheck.deps import CardsHandle, Replying
from vitalcheck.models import models

router = APIRouter(prefix="/models", tags=["models"], route_class=DirectRoute)


@router.get("")
async def list_models(cards: CardsHandle, reply: Replying) -> Envelope[Artifacts]:
    """Every artifact: what it is, whether it serves, what it costs, and its model card."""
    found = [_artifact(models[name].status(), cards.value[name]) for name in ARTIFACTS]
    return reply(Artifacts(models=found), [])


def _artifact(status: ModelStatus, card: Card) -> Artifact:
    return Artifact(
        name=status.name,
        kind=status.kind,
        version=status.version,
        sha256=status.sha256,
        state=status.state,
        required=status.required,
        load_seconds=status.load_seconds,
        bytes_on_disk=status.bytes_on_disk,
        bytes_in_memory=status.bytes_in_memory,
        card=dict(card.document),
    )
