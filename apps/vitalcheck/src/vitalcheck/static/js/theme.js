// Before the first paint: the theme chosen last time. Only this choice is ever stored.
(() => {
  try {
    const chosen = localStorage.getItem("vitalcheck-theme");
    if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
  } catch {
    // Storage may be forbidden; then the system's preference holds.
  }
})();
