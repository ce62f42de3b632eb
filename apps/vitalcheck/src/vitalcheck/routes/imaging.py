"""Brain MRI pictures."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request

from loadonce import Handle
from loadonce.http import DirectRoute
from vitalcheck.answers import Envelope, TumorReading
from vitalcheck.deps import Replying, timed
from vitalcheck.imaging import MAX_BYTES, ImageRefusedError, Network, Reading, classify, to_input
from vitalcheck.models import models
from vitalcheck.schemas import EncodedImage
from vitalcheck.uploads import picture_of, refusal

router = APIRouter(prefix="/imaging", tags=["imaging"], route_class=DirectRoute)

MAX_BODY_BYTES = MAX_BYTES * 4 // 3 + 2**16
"""A picture of the largest size in base64, and room for what surrounds it."""

_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": EncodedImage.model_json_schema()},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "title": "Upload",
                    "required": ["image"],
                    "properties": {
                        "image": {
                            "type": "string",
                            "format": "binary",
                            "title": "Image",
                            "contentMediaType": "image/png, image/jpeg",
                            "description": "A PNG or JPEG file, at most 10 MiB and 25 megapixels.",
                        }
                    },
                }
            },
        },
    }
}


@router.post("/brain-tumor", openapi_extra=_BODY)
async def brain_tumor(
    request: Request,
    model: Annotated[Handle[Network], Depends(models.brain_tumor)],
    reply: Replying,
) -> Envelope[TumorReading]:
    """Glioma, meningioma, pituitary tumour or none in one slice of a brain MRI."""
    picture = await picture_of(request)
    answer = await timed(model.run(_read, picture))
    reading = answer.result
    data = TumorReading(
        label=reading.label,
        tumor_detected=reading.tumor_detected,
        confidence=reading.confidence,
        probabilities=dict(reading.probabilities),
    )
    return reply(data, model, answer.ms)


def _read(network: Network, picture: bytes) -> Reading:
    try:
        (reading,) = classify(network, [to_input(picture)])
    except ImageRefusedError as error:
        raise refusal(error.code, str(error), "image") from None
    return reading
