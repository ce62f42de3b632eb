// The button that changes between light and dark.

const KEY = "vitalcheck-theme";

/** Make `button` switch the theme and tell which one is on. */
export function themeToggle(button) {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (document.documentElement.dataset.theme ?? (system.matches ? "dark" : "light")) === "dark";

  function show() {
    button.setAttribute("aria-pressed", String(isDark()));
    button.title = isDark() ? "Use the light theme" : "Use the dark theme";
  }

  button.addEventListener("click", () => {
    const next = isDark() ? "light" : "dark";
    document.documentElement.dataset.theme = next;
    try {
      localStorage.setItem(KEY, next);
    } catch {
      // Not remembered, then.
    }
    show();
  });
  system.addEventListener("change", show);
  show();
}
