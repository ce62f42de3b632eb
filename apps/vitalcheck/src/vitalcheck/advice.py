"""Recommendations: short, about what can be changed, never a diagnosis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from .answers import Contributor, RiskLevel

_BY_LEVEL: Final[dict[RiskLevel, str]] = {
    "low": "Keep up the habits that keep this risk low, and go to your regular check-ups.",
    "moderate": "Mention this estimate at your next check-up.",
    "high": "Talk to a clinician about this estimate in the coming weeks.",
    "critical": "Talk to a clinician about this estimate soon.",
}
_URGENT: Final = "With sudden or severe symptoms, call your local emergency number."

_CHANGEABLE: Final[dict[str, str]] = {
    "glucose": "Have your blood sugar checked; diet, activity and weight all act on it.",
    "fasting_blood_sugar_high": "Have your blood sugar checked; diet, activity and weight all act "
    "on it.",
    "insulin": "Have your blood sugar checked; diet, activity and weight all act on it.",
    "bmi": "Even a small change of weight towards the healthy range helps; ask for support.",
    "skin_thickness": "Regular activity and a balanced diet help to lower body fat.",
    "blood_pressure": "Measure your blood pressure regularly; less salt and more movement help.",
    "resting_bp": "Measure your blood pressure regularly; less salt and more movement help.",
    "systolic_bp": "Measure your blood pressure regularly; less salt and more movement help.",
    "high_blood_pressure": "Keep your blood pressure under control together with your clinician.",
    "cholesterol": "Have your cholesterol checked; less saturated fat and more fibre help.",
    "high_cholesterol": "Keep your cholesterol under control together with your clinician.",
    "diabetes": "Keep your blood sugar under control together with your clinician.",
    "max_heart_rate": "Ask which kind of endurance training is right for you.",
    "exercise_angina": "Discuss chest pain on exertion with a clinician before exercising hard.",
    "sleep_hours": "Aim for seven to nine hours of sleep at regular times.",
    "resting_pulse": "Regular endurance activity lowers the resting pulse.",
    "physically_active": "Some activity on most days helps; a brisk walk counts.",
    "smoker": "Staying away from tobacco is among the most helpful things to do; support exists.",
    "drinks_per_day": "Drink less alcohol, above all in the evening.",
    "bad_mental_health_days": "Talk to someone you trust, or a professional, about how you feel.",
    "depressed": "Talk to someone you trust, or a professional, about how you feel.",
    "mental_health": "Talk to someone you trust, or a professional, about how you feel.",
}
_MOST: Final = 3
_NOTABLE: Final = 0.005


def recommendations(level: RiskLevel, contributors: Sequence[Contributor]) -> list[str]:
    """What to do at this level, then advice for up to three changeable inputs that raise the risk
    by at least half a percentage point, largest first."""
    raising = [item for item in contributors if item.effect >= _NOTABLE and item.value is not None]
    advice = [_CHANGEABLE[item.feature] for item in raising if item.feature in _CHANGEABLE]
    urgent = [_URGENT] if level == "critical" else []
    return [_BY_LEVEL[level], *urgent, *list(dict.fromkeys(advice))[:_MOST]]
