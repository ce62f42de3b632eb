// The page's contents. Fields, units, limits, examples and descriptions come from the OpenAPI document.

import * as answers from "./answers.js";
import { assessmentView } from "./views/assessment.js";
import { comprehensiveView } from "./views/comprehensive.js";
import { hospitalView } from "./views/hospital.js";
import { imagingView } from "./views/imaging.js";
import { modelsView } from "./views/models.js";

const risk = (id, title, path, model, action = "Estimate the risk") => ({
  id, title, path, models: [model], action, view: assessmentView, show: answers.risk,
});

/** Everything one can open, in the order of the navigation. */
export const GROUPS = [
  {
    title: "Risk",
    entries: [
      risk("diabetes", "Diabetes", "/api/v1/risk/diabetes", "diabetes"),
      risk("heart", "Heart disease", "/api/v1/risk/heart", "heart"),
      risk("stroke", "Stroke", "/api/v1/risk/stroke", "stroke"),
      risk("breast-cancer", "Breast mass", "/api/v1/risk/breast-cancer", "breast_cancer", "Estimate the probability"),
      {
        id: "comprehensive", title: "Several risks", path: "/api/v1/risk/comprehensive", action: "Estimate all",
        models: ["diabetes", "heart", "stroke"], view: comprehensiveView, show: answers.comprehensive,
      },
    ],
  },
  {
    title: "Imaging",
    entries: [{
      id: "brain-tumor", title: "Brain MRI", path: "/api/v1/imaging/brain-tumor", action: "Read the picture",
      models: ["brain_tumor"], view: imagingView, show: answers.tumor,
    }],
  },
  {
    title: "Everyday life",
    entries: [
      { ...risk("sleep", "Sleep", "/api/v1/sleep/assessment", "sleep", "Assess sleep"), show: answers.sleep },
      { ...risk("fitness", "Fitness", "/api/v1/fitness/percentiles", "fitbit_percentiles", "Compare"), show: answers.fitness },
    ],
  },
  {
    title: "Population and cost",
    entries: [
      { ...risk("life-expectancy", "Life expectancy", "/api/v1/longevity/life-expectancy", "life_expectancy", "Estimate"), show: answers.lifeExpectancy },
      { ...risk("insurance", "Health spending", "/api/v1/insurance/cost", "insurance", "Estimate the cost"), show: answers.cost },
      {
        id: "hospital", title: "Hospital stays", method: "get", path: "/api/v1/hospital/analytics", action: "Filter",
        models: ["hospital_analytics"], view: hospitalView,
      },
    ],
  },
  {
    title: "System",
    entries: [{ id: "models", title: "Models", method: "get", path: "/api/v1/models", models: [], view: modelsView }],
  },
];

export const ENTRIES = GROUPS.flatMap((group) => group.entries);
