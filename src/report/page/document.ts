/** The page of a pre-training or of a comparison: numbers, curves, bars with intervals, tables. */
import type { DocumentData, DocumentSection, DocumentTable } from "../report-data.ts";
import { chart } from "./chart.ts";
import { element } from "./element.ts";
import { intervals } from "./intervals.ts";
import { keepPreferences, readPreferences } from "./preferences.ts";
import { STATES } from "./states.ts";
import { tile } from "./summary.ts";

const COMMANDS = { training: "pretrain", comparison: "compare" } as const;

export class DocumentPage {
  readonly #preferences = readPreferences();
  readonly #title = element("h1");
  readonly #state = element("span", { class: "badge" });
  readonly #nav = element("nav", { "aria-label": "Parts of the page" });
  readonly #main = element("main");
  /** what is still to be drawn */
  #behind: DocumentData | undefined;
  readonly #theme = element("button", { type: "button", title: "Light or dark (t)", onclick: () => this.#toggleTheme() });

  constructor(body: HTMLElement) {
    body.append(
      element(
        "header",
        { class: "bar" },
        element("div", { class: "name" }, this.#title, this.#state),
        this.#nav,
        element("div", { class: "tools" }, this.#theme),
      ),
      this.#main,
    );
    this.#showTheme();
    // What could not be drawn while somebody was in it is drawn once they have left.
    addEventListener("focusout", () => setTimeout(() => this.#behind && this.show(this.#behind)));
    addEventListener("keydown", ({ key, ctrlKey, metaKey, altKey }) => {
      if (key === "t" && !ctrlKey && !metaKey && !altKey) this.#toggleTheme();
    });
  }

  /** Shows things as they stand; what is unfolded stays so. Nothing is drawn anew while somebody is in it with the keyboard. */
  show(data: DocumentData): void {
    const { kind, title, state, tiles, sections, notes } = data;
    this.#behind = undefined;
    document.title = `${title}: trm ${COMMANDS[kind]}`;
    this.#title.textContent = title;
    this.#state.className = `badge ${STATES[state].kind}`;
    this.#state.textContent = STATES[state].text;
    if (this.#main.contains(document.activeElement)) {
      this.#behind = data;
      return;
    }
    const open = [...this.#main.querySelectorAll("details")].map((details) => details.open);
    const parts = sections.map((section, i) => sectionOf(section, `part-${i}`));
    this.#nav.replaceChildren(
      ...sections.map((section, i) => element("button", { type: "button", onclick: () => parts[i]!.scrollIntoView() }, section.title)),
    );
    this.#main.replaceChildren(
      element(
        "section",
        { "aria-label": "Summary" },
        ...notes.map((note) => element("p", { class: "notice" }, note)),
        element(
          "div",
          { class: "tiles" },
          ...tiles.map(({ name, large, small, below = "" }) => tile(name, small === undefined ? [large] : [large, small], below)),
        ),
      ),
      ...parts,
    );
    for (const [i, details] of [...this.#main.querySelectorAll("details")].entries()) details.open = open[i] ?? details.open;
  }

  #toggleTheme(): void {
    this.#preferences.theme = this.#preferences.theme === "dark" ? "light" : "dark";
    this.#showTheme();
  }

  #showTheme(): void {
    const { theme } = this.#preferences;
    document.documentElement.dataset.theme = theme;
    this.#theme.textContent = theme === "dark" ? "☾" : "☀";
    this.#theme.setAttribute("aria-label", `Theme: ${theme}`);
    keepPreferences(this.#preferences);
  }
}

function sectionOf({ title, about, charts = [], bars, table, folded }: DocumentSection, id: string): HTMLElement {
  const shown = [
    charts.length > 0 && element("div", { class: "charts" }, ...charts.map(chart)),
    bars && intervals(bars),
    table && tableOf(table, title),
  ];
  return element(
    "section",
    { "aria-labelledby": id },
    element("h2", { id }, title),
    about !== undefined && element("p", { class: "soft", style: "margin: -6px 0 12px" }, about),
    ...(folded ? [element("details", {}, element("summary", {}, "Show"), ...shown)] : shown),
  );
}

function tableOf({ columns, rows, texts = false }: DocumentTable, name: string): HTMLElement {
  const kind = texts ? "mono" : "number";
  const head = columns.map((column, c) => element("th", { scope: "col", class: c > 0 && !texts ? "number" : "" }, column));
  const lines = rows.map(([first, ...cells]) =>
    element("tr", {}, element("th", { scope: "row" }, first!), ...cells.map((cell) => element("td", { class: kind }, cell))),
  );
  return element(
    "div",
    { class: "card scroll", tabindex: 0, role: "group", "aria-label": name },
    element("table", {}, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...lines)),
  );
}
