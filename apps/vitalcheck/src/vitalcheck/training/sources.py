"""What a card says besides numbers: the data's origin, its licence, and the known limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

DISCLAIMER = (
    "A demonstration trained on public data. Not a medical device: no diagnosis, no treatment, no "
    "insurance decision may rest on it."
)


@dataclass(frozen=True, slots=True)
class Source:
    """Where an artifact comes from. `recalled` in a licence: stated from general knowledge."""

    title: str
    task: str
    origin: str
    licence: str
    limits: tuple[str, ...]


_MEPS = (
    "US AHRQ, Medical Expenditure Panel Survey, 2015 full-year consolidated file HC-181 (public "
    "use); adults (age15x >= 18) in the survey's scope (perwt15f > 0)"
)
_MEPS_LICENCE = (
    "US government data; AHRQ's data-use agreement forbids trying to identify anyone and asks for "
    "statistical use only"
)
_MEPS_LIMITS = (
    "Diagnoses are what people say a doctor ever told them, not findings.",
    "Negative codes (inapplicable, refused, don't know, not ascertained) count as missing; "
    "education in years is missing for nearly half, whom the survey asked in another form.",
    "US civilians outside institutions in 2015; ages above 85 are recorded as 85; negative family "
    "incomes count as 0. No body mass index, smoking or region in this extract.",
)

SOURCES: Mapping[str, Source] = {
    "diabetes": Source(
        "Diabetes risk",
        "probability of diabetes within five years",
        "Pima Indians Diabetes: National Institute of Diabetes and Digestive and Kidney Diseases, "
        "1990 (V. Sigillito), women of Pima heritage aged 21 and over",
        "CC0 on Kaggle uciml/pima-indians-diabetes-database (recalled)",
        (
            "Women only, one population, 21 years and over: for anyone else this is extrapolation.",
            "0 means missing in glucose, blood pressure, skin thickness, insulin and body mass "
            "index of the data; insulin is missing for nearly half. Missing values count as the "
            "median.",
            "Values beyond those seen in training count as the nearest one seen.",
        ),
    ),
    "heart": Source(
        "Heart disease risk",
        "probability of coronary heart disease (num > 0)",
        "UCI Heart Disease (id 45), 1988: A. Janosi (Budapest), W. Steinbrunn (Zurich), M. "
        "Pfisterer (Basel), R. Detrano (Long Beach and Cleveland); four sites joined, the site "
        "never used",
        "CC BY 4.0 (recalled)",
        (
            "Patients referred for angiography in the 1980s: more than half have the disease, far "
            "more than among people who feel well.",
            "Prevalence differs greatly by site (Switzerland 93 %), and st_slope, vessels and "
            "thalassemia are mostly missing outside Cleveland: what is missing gives the site "
            "away. This model uses whether an exam is known (each has its own term), so part of "
            "its cross-validated score comes from that, and leaving an exam out changes the "
            "answer. It is kept because probabilities for a site never seen in training get "
            "better by it (log loss at all four sites; AUC stays about the same): see "
            "metrics_other_site and metrics_without_missingness.",
            "cholesterol = 0 (all Swiss rows, some from Long Beach) and one resting_bp = 0 count "
            "as missing.",
            "Values beyond those seen in training count as the nearest one seen.",
        ),
    ),
    "stroke": Source(
        "Stroke risk",
        "probability of ever having been told of a stroke (strkdx = 1)",
        _MEPS,
        _MEPS_LICENCE,
        (
            "The target is a stroke in the past, not in the future: an association, not a "
            "forecast. Diagnoses may have followed the stroke, and who died of one is not in the "
            "survey.",
            "About 4 % are positive: accuracy says nothing, and few rows reach the higher levels. "
            "Judge by AUC, average precision and calibration.",
            *_MEPS_LIMITS,
        ),
    ),
    "breast_cancer": Source(
        "Breast cancer",
        "probability that a fine-needle aspirate is malignant",
        "Wisconsin Diagnostic Breast Cancer (UCI), the copy in scikit-learn; the rows listed for "
        "training",
        "CC BY 4.0 (recalled); shipped with scikit-learn",
        (
            "One clinic, about 1990; measurements depend on its microscope and software, so their "
            "scale is that of the images.",
            "37 % of the cases are malignant, more than in screening.",
            "The other rows of the set ship with scikit-learn, so they are not truly hidden.",
        ),
    ),
    "sleep": Source(
        "Sleep trouble risk",
        "probability of ever having told a doctor of trouble sleeping (SleepTrouble = Yes)",
        "US CDC/NCHS NHANES 2009-2012 (ProjectMOSAIC/NHANES, NHANESraw), people of 16 years and "
        "over who answered",
        "US government public-use data; R package NHANES GPL (>= 2), for education, not research",
        (
            "The target is an answer in an interview, not a sleep study: who sees a doctor more "
            "often tells more.",
            "Body mass, pulse and blood pressure were measured on the day; the rest is "
            "self-reported. Ages above 80 are recorded as 80.",
            "With the inputs of the API every kind of model tried levels off at an AUC near "
            "0.735. The survey's other columns (race, work, income, education, height, further "
            "habits) lift it to 0.754; they are left out because the API does not ask for them.",
            "Under 20 years depression, alcohol, smoking and health were mostly not asked: answers "
            "there rest on few inputs.",
        ),
    ),
    "life_expectancy": Source(
        "National life expectancy",
        "life expectancy at birth of a country's people in a year",
        "WHO GHO and UNESCO, 2000-2016 (Kaggle mmattson/who-national-life-expectancy)",
        "not stated in the copy; WHO and UNESCO terms of the underlying data",
        (
            "Countries, not people: it says nothing about anyone's own life expectancy.",
            "life_exp60, une_life, adult_mortality, infant_mort, age1-4mort and une_infant are "
            "(nearly) the target and left out. Doctors, hospitals, poverty, literacy and "
            "education spending are mostly missing and left out as well.",
            "Neighbouring years of one country are nearly equal: whole countries are kept apart in "
            "every split. A random row split would flatter.",
            "Years before 2000 and after 2016 are extrapolation: the trees answer as for the "
            "nearest year seen. Outbreaks, wars and pandemics are outside the data.",
            "The interval has the same width everywhere; poor countries with HIV epidemics are "
            "predicted worse than rich ones.",
        ),
    ),
    "insurance": Source(
        "Yearly health spending",
        "total health spending of a person in 2015, US$ (totexp15): mean, 5 % and 95 % quantile",
        _MEPS,
        _MEPS_LICENCE,
        (
            "19 % of adults spend nothing, so the 5 % quantile is 0 for nearly everyone, and "
            "nobody can fall below 0: the interval covers more than its nominal 90 %.",
            "Spending of single people is mostly chance: the inputs explain about an eighth of its "
            "variance. The mean is for budgets of groups, not for a person.",
            "Visits, charges and part-spending are outcomes of the same year and are not inputs.",
            "Spending by all payers at 2015 prices; not a premium.",
            *_MEPS_LIMITS,
        ),
    ),
    "fitbit_percentiles": Source(
        "Fitness reference days",
        "percentiles of daily steps, calories, sleep, resting heart rate and active minutes",
        "LifeSnaps (Yfantidou et al., Scientific Data 2022; Zenodo 7229547): 71 people with a "
        "Fitbit Sense, April 2021 to January 2022",
        "CC BY 4.0 (recalled)",
        (
            "71 volunteers, mostly young adults in Europe: no sample of any population. The age "
            "bands are the data's: under 30, and 30 and over.",
            "A percentile is a place among days, not among people: a person who wore the watch "
            "longer counts more.",
            "Many empty cells (steps 36 %, sleep 52 %, resting heart rate 40 % of the days); three "
            "people have no age band and three gender only on some days: they count only in the "
            "groups known.",
            "A day without steps counts as not worn: its calories (the basal rate) and active "
            "minutes (0) are left out.",
            "Groups of fewer than 11 people are left out.",
        ),
    ),
    "hospital_analytics": Source(
        "Hospital stays",
        "length of stay, 30-day readmission and cost by department and condition",
        "departments: Clore, Cios, DeShazo, Strack 2014 (UCI 296, doi 10.24432/C5230J), 130 US "
        "hospitals 1999-2008; conditions: NY State SPARCS, a random sample of 2016 discharges",
        "CC BY 4.0 (recalled); health.data.ny.gov terms of use (recalled)",
        (
            "Departments: stays of 1 to 14 days with diabetes only; the department is not recorded "
            'for half of the stays ("Unknown"). Stays are counted, not patients: a patient who '
            "came again counts again, as a department's workload does.",
            "Conditions: a random sample of 800 discharges of one state and year, about 40 for "
            "each condition group; means are rough. A stay of 120 days or more counts as 120.",
            "Departments and conditions come from different hospitals, years and patients.",
            "Cells of fewer than 11 stays are left out.",
        ),
    ),
}
