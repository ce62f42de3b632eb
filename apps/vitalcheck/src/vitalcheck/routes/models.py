"""What this server has loaded."""

from fastapi import APIRouter

from loadonce import State
from vitalcheck.answers import Artifact, Artifacts, Envelope
from vitalcheck.cards import ARTIFACTS
from vitalcheck.deps import Replying
from vitalcheck.models import models

router = APIRouter(prefix="/models", tags=["models"])


@router.get("")
async def list_models(reply: Replying) -> Envelope[Artifacts]:
    """Every artifact: what it is, whether it serves, what it costs, and its model card.

    Answers while models are still loading.
    """
    shown = [models[name].status() for name in ARTIFACTS]
    cards = await _documents()
    data = Artifacts(
        models=[
            Artifact(
                name=status.name,
                kind=status.kind,
                version=status.version,
                sha256=status.sha256,
                state=status.state,
                required=status.required,
                load_seconds=status.load_seconds,
                bytes_on_disk=status.bytes_on_disk,
                bytes_in_memory=status.bytes_in_memory,
                card=cards.get(status.name),
            )
            for status in shown
        ]
    )
    return reply(data, [])


async def _documents() -> dict[str, dict[str, object]]:
    if models.cards.state is not State.READY:
        return {}
    async with models.cards.lease() as cards:
        return {name: dict(card.document) for name, card in cards.value.items()}
