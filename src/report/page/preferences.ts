/** How somebody likes the page: kept by their browser where it keeps anything. */

/** Names of palettes, and of the ways to tell colours apart. */
export interface Preferences {
  theme: "light" | "dark";
  symbols: boolean;
  palette: "official" | "arcprize";
}

const KEY = "trm-report";

export function readPreferences(): Preferences {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const given: Preferences = { theme: dark ? "dark" : "light", symbols: false, palette: "official" };
  try {
    const { theme, symbols, palette } = JSON.parse(localStorage.getItem(KEY) ?? "{}") as Partial<Record<keyof Preferences, unknown>>;
    if (theme === "light" || theme === "dark") given.theme = theme;
    if (typeof symbols === "boolean") given.symbols = symbols;
    if (palette === "official" || palette === "arcprize") given.palette = palette;
  } catch {} // a page in a frame of its own may keep nothing
  return given;
}

export function keepPreferences(preferences: Preferences): void {
  try {
    localStorage.setItem(KEY, JSON.stringify(preferences));
  } catch {}
}
