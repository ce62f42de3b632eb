// How names and numbers are written for people.

const SPELLED = {
  bmi: "BMI", bp: "blood pressure", ecg: "ECG", gdp: "GDP", gni: "GNI", hiv: "HIV",
  ppp: "(PPP)", st: "ST", id: "ID",
};
const UNIT_ENDINGS = new Set(["pct", "usd"]);
const LEVELS = {
  st_t_abnormality: "ST-T abnormality", lv_hypertrophy: "LV hypertrophy",
  no_tumor: "No tumour", non_anginal: "Non-anginal pain",
};

/** `resting_bp` -> "Resting blood pressure". */
export function nameOf(field) {
  const words = field.split("_").filter((word) => !UNIT_ENDINGS.has(word));
  const text = words.map((word) => SPELLED[word] ?? word).join(" ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** `very_good` -> "Very good". */
export function levelOf(value) {
  return LEVELS[value] ?? nameOf(value);
}

/** A number as people write it, at most `digits` after the point; years stay ungrouped. */
export function number(value, digits = 4) {
  return new Intl.NumberFormat("en", { maximumFractionDigits: digits, useGrouping: "min2" })
    .format(value)
    .replace("-", "−");
}

/** 0.2345 -> "23.5 %"; what would round to nothing or to all keeps a digit that tells. */
export function percent(share, digits = 1) {
  if (share > 0 && share < 0.0005) return `${small(share * 100)} %`;
  if (share < 1 && share > 0.9995) return "> 99.9 %";
  const text = new Intl.NumberFormat("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
  return `${text.format(share * 100)} %`;
}

function small(value) {
  return new Intl.NumberFormat("en", { maximumSignificantDigits: 1 }).format(value);
}

/** 3 -> "3.0": one digit after the point, or the first that is not 0. */
export function tenths(value) {
  if (value !== 0 && Math.abs(value) < 0.05) return small(value);
  return new Intl.NumberFormat("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 }).format(value);
}

/** 12345.6 -> "$12,346". */
export function dollars(value) {
  const format = { style: "currency", currency: "USD", maximumFractionDigits: 0 };
  return new Intl.NumberFormat("en-US", format).format(value).replace("-", "−");
}

/** 3400000 -> "3.4 MB". */
export function bytes(value) {
  const steps = ["B", "kB", "MB", "GB"];
  let size = value;
  let step = 0;
  while (size >= 1000 && step < steps.length - 1) {
    size /= 1000;
    step += 1;
  }
  return `${number(size, 1)} ${steps[step]}`;
}

/** A signed amount: "+3.1", "−0.4". */
export function signed(value, write) {
  return `${value < 0 ? "−" : "+"}${write(Math.abs(value))}`;
}

/** 1 -> "1st". */
export function ordinal(value) {
  const ending = { one: "st", two: "nd", few: "rd", other: "th" };
  return `${value}${ending[new Intl.PluralRules("en", { type: "ordinal" }).select(value)]}`;
}

/** A value as it was given: "138 mg/dL", "yes", "not known". */
export function valueOf(value, unit = "") {
  if (value === null || value === undefined) return "not known";
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value === "string") return value in LEVELS || value !== value.toLowerCase() ? levelOf(value) : levelOf(value).toLowerCase();
  if (unit === "US$") return dollars(value);
  return unit ? `${number(value)} ${unit}` : number(value);
}
