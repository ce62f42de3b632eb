"""What clients get: the envelope of every answer and the data inside it."""

from __future__ import annotations

from typing import Annotated, Generic, Literal, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field

DISCLAIMER = (
    "VitalCheck is a demonstration, not a medical device. Its answers are statistical estimates, "
    "not a diagnosis; talk to a clinician about your health."
)

RiskLevel: TypeAlias = Literal["low", "moderate", "high", "critical"]
Probability: TypeAlias = Annotated[float, Field(ge=0, le=1)]
T = TypeVar("T")


class Answer(BaseModel):
    """What every part of an answer has in common."""

    model_config = ConfigDict(frozen=True, protected_namespaces=())


class ModelUsed(Answer):
    """Which artifact an answer came from."""

    name: str
    version: str
    sha256: str


class Envelope(Answer, Generic[T]):
    """Every answer of the API."""

    data: T
    model: ModelUsed | list[ModelUsed] = Field(
        description="The model the answer came from; a list where it came from several."
    )
    inference_ms: float = Field(ge=0, description="Time spent in and waiting for the model(s).")
    request_id: str = Field(
        description="The client's own X-Request-ID where it sent a sane one; also in that header."
    )
    disclaimer: str


class Problem(Answer):
    """What every error answers (RFC 9457, application/problem+json)."""

    type: str
    title: str
    status: int
    detail: str
    request_id: str
    errors: list[dict[str, object]] = Field(
        default=[],
        description="For 422: field (a list of names), rule and message of each rule broken; the "
        "values sent are never repeated.",
    )


class Contributor(Answer):
    """How much one input moves the prediction away from the reference's."""

    feature: str
    value: float | int | bool | str | None
    effect: float = Field(
        description="Signed change of the prediction: an additive Shapley value against the "
        "reference row of the model's card."
    )


class Explained(Answer):
    """The part of an answer that explains it; absent with `explain=false`."""

    baseline: float = Field(
        default=0.0,
        description="The prediction for the reference row, from which the effects start.",
    )
    contributors: list[Contributor] = Field(
        default=[], max_length=5, description="The inputs with the five largest effects."
    )


class Risk(Explained):
    """One risk."""

    probability: Probability
    risk_level: RiskLevel
    recommendations: list[str]


class SleepRisk(Risk):
    """The risk of trouble sleeping, with a score of the habits around it."""

    lifestyle_score: float = Field(
        ge=0,
        le=100,
        description="100 * weighted mean of 0..1 points for: sleep (weight 30; 1 at 7-9 h, falling "
        "to 0 at 4 and 12 h), activity (20), smoking (20; never 1, former 0.7, current 0), body "
        "mass index (20; 1 at 18.5-25, falling to 0 at 13.5 and 40), drinks (10; 1 up to one a "
        "day, falling to 0 at six). What is not known counts half.",
    )


class ProfileRisk(Risk):
    """One risk of several asked together."""

    inference_ms: float = Field(ge=0)


class ComprehensiveRisk(Answer):
    """Several risks of one person."""

    profile: dict[str, ProfileRisk]
    overall: RiskLevel = Field(description="The highest of the levels.")


class TumorReading(Answer):
    """What the network sees in a picture."""

    label: str
    tumor_detected: bool
    confidence: Probability
    probabilities: dict[str, Probability]


class LifeEstimate(Explained):
    """A country's life expectancy at birth."""

    years: float
    interval: list[float] = Field(
        min_length=2, max_length=2, description="Lower and upper end of the 90 % interval, years."
    )


class Cost(Explained):
    """A year's health spending."""

    expected_usd: float = Field(ge=0)
    interval_usd: list[float] = Field(
        min_length=2,
        max_length=2,
        description="Lower and upper end, US$; conformally adjusted quantiles.",
    )
    coverage: float = Field(
        description="The nominal coverage of the interval; the model card states the measured one."
    )


class Reference(Answer):
    """Whose days the percentiles compare with."""

    group: str = Field(
        description="The narrowest group with enough people for every metric asked: sex and age "
        "band, sex alone, age band alone, or all."
    )
    days: int = Field(description="Days in the reference; the fewest of the metrics asked for.")
    people: int = Field(description="People in it; the fewest of the metrics asked for.")


class Percentiles(Answer):
    """Where a day's figures stand among other people's days."""

    percentiles: dict[str, Annotated[float, Field(ge=0, le=100)]]
    reference: Reference


class Department(Answer):
    """One department's stays."""

    department: str
    stays: int
    mean_days: float
    median_days: float
    p90_days: float
    readmitted_30d: float | None = Field(
        description="Share of the stays followed by another within 30 days; null where so few "
        "were that the figure is suppressed."
    )


class Condition(Answer):
    """One condition group's stays."""

    condition: str
    stays: int
    mean_cost_usd: float
    mean_days: float


class Analytics(Answer):
    """Hospital stays by department and by condition."""

    departments: list[Department]
    conditions: list[Condition]


class Artifact(Answer):
    """One artifact of this server."""

    name: str
    kind: str
    version: str
    sha256: str
    state: str
    required: bool
    load_seconds: float
    bytes_on_disk: int
    bytes_in_memory: int
    card: dict[str, object] = Field(description="Its model card.")


class Artifacts(Answer):
    """Every artifact of this server."""

    models: list[Artifact]
