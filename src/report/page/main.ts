/** A page. It draws what stands in its own data; one that follows a run asks for them again and again. */
import type { DocumentData, ReportData } from "../report-data.ts";
import { chart } from "./chart.ts";
import { DocumentPage } from "./document.ts";
import { element } from "./element.ts";
import { keepPreferences, readPreferences } from "./preferences.ts";
import { STATES } from "./states.ts";
import { summarySection } from "./summary.ts";
import { type ListChoice, TaskList } from "./task-list.ts";
import { taskView } from "./task-view.ts";
import { timelineSection } from "./timeline.ts";
import { type Judged, judge } from "./verdict.ts";

/** Between two questions to the server of a run that is followed. */
const ASK_MILLIS = 3000;

const KEYS: readonly (readonly [readonly string[], string])[] = [
  [["j", "k"], "next, previous task"],
  [["↑", "↓"], "the same, in the list"],
  [["/"], "search ids"],
  [["s"], "digits in the cells, for those who can't tell the colours apart"],
  [["p"], "the other palette: the official interface's, or arcprize.org's"],
  [["t"], "light or dark"],
  [["?"], "this help"],
];

class Page {
  readonly #preferences = readPreferences();
  readonly #choice: ListChoice = { search: "", filter: "all", sort: "file" };
  readonly #overview = element("section", { "aria-label": "Summary" });
  readonly #timeline = element("section", { "aria-labelledby": "timeline-title" });
  readonly #curves = element("section", { "aria-labelledby": "curves-title" });
  readonly #browser = element("div", { class: "browser", "data-showing": "list" });
  readonly #view = element("article", { class: "card task", "aria-label": "Task" });
  readonly #list = new TaskList(this.#choice, this.#preferences);
  readonly #title = element("h1");
  readonly #state = element("span", { class: "badge" });
  readonly #symbols = element(
    "button",
    { type: "button", title: "Digits in the cells (s)", onclick: () => this.#toggleSymbols() },
    "123",
    element("span", {}, " Digits"),
  );
  readonly #palette = element("button", { type: "button", title: "Palette (p)", onclick: () => this.#togglePalette() });
  readonly #theme = element("button", { type: "button", title: "Light or dark (t)", onclick: () => this.#toggleTheme() });
  readonly #help = this.#makeHelp();
  #judged = new Map<string, Judged>();
  #current: string | undefined;
  #latest: ReportData | undefined;
  /** a part was left as it was, since somebody was in it */
  #isBehind = false;
  /** the tasks that are shown */
  #tasks: ReportData["tasks"] | undefined;

  constructor(body: HTMLElement) {
    const to = (section: HTMLElement) => () => section.scrollIntoView();
    const tasks = element("section", { "aria-labelledby": "tasks-title" }, element("h2", { id: "tasks-title" }, "Tasks"), this.#browser);
    this.#browser.append(this.#list.root, this.#view);
    body.append(
      element(
        "header",
        { class: "bar" },
        element("a", { class: "skip", href: "#", onclick: (event: Event) => this.#skip(event) }, "To the tasks"),
        element("div", { class: "name" }, this.#title, this.#state),
        element(
          "nav",
          { "aria-label": "Parts of the page" },
          ...(
            [
              ["Summary", this.#overview],
              ["Timeline", this.#timeline],
              ["Curves", this.#curves],
              ["Tasks", tasks],
            ] as const
          ).map(([text, section]) => element("button", { type: "button", onclick: to(section) }, text)),
        ),
        element(
          "div",
          { class: "tools" },
          this.#symbols,
          this.#palette,
          this.#theme,
          element("button", { type: "button", "aria-label": "Keys", title: "Keys (?)", onclick: () => this.#help.showModal() }, "?"),
        ),
      ),
      element("main", {}, this.#overview, this.#timeline, this.#curves, tasks),
      this.#help,
    );
    this.#showPreferences();
    addEventListener("hashchange", () => this.#followHash());
    addEventListener("click", (event) => this.#click(event));
    addEventListener("keydown", (event) => this.#key(event));
    addEventListener("focusout", () => setTimeout(() => this.#catchUp()));
    let width = innerWidth;
    addEventListener("resize", () => {
      if (Math.abs(innerWidth - width) > 40) this.#drawTask();
      width = innerWidth;
    });
  }

  /** Shows a run as it stands; what was chosen before stays chosen. */
  show(data: ReportData): void {
    this.#latest = data;
    document.title = `${data.title}: trm run`;
    this.#title.textContent = data.title;
    const { text, kind } = STATES[data.state];
    this.#state.className = `badge ${kind}`;
    this.#state.textContent = text;
    this.#judged = new Map(data.tasks.map((task, i) => [task.id, judge(task, i)]));
    this.#renew(this.#overview, () => [summarySection(data, [...this.#judged.values()]), this.#settingsOf(data)]);
    this.#renew(this.#timeline, () => [element("h2", { id: "timeline-title" }, "Plan and timeline"), timelineSection(data)]);
    this.#renew(this.#curves, () => {
      const charts = data.curves.map(chart);
      const drawn = charts.length > 0 ? element("div", { class: "charts" }, ...charts) : element("p", { class: "soft" }, "No curve yet.");
      return [element("h2", { id: "curves-title" }, "Curves"), drawn];
    });
    const before = this.#tasks;
    this.#tasks = data.tasks;
    if (before && JSON.stringify(before) === JSON.stringify(data.tasks)) return;
    this.#list.show([...this.#judged.values()], this.#current);
    if (this.#current === undefined) this.#followHash();
    else this.#drawTask();
  }

  /** Draws a part anew; what is unfolded stays so. A part that somebody is in with the keyboard is left as it is for now. */
  #renew(section: HTMLElement, draw: () => Node[]): void {
    if (section.contains(document.activeElement)) {
      this.#isBehind = true;
      return;
    }
    const open = [...section.querySelectorAll("details")].map((details) => details.open);
    section.replaceChildren(...draw());
    for (const [i, details] of [...section.querySelectorAll("details")].entries()) details.open = open[i] ?? details.open;
  }

  /** Draws what could not be drawn while somebody was in it, once they have left. */
  #catchUp(): void {
    if (!this.#isBehind || !this.#latest) return;
    this.#isBehind = false;
    this.show(this.#latest);
  }

  #settingsOf({ settings }: ReportData): HTMLElement {
    const rows = settings.map(({ name, value, origin }) =>
      element(
        "tr",
        {},
        element("th", { scope: "row" }, name),
        element("td", { class: "mono" }, value),
        element("td", { class: "soft" }, origin),
      ),
    );
    return element(
      "details",
      {},
      element("summary", {}, "Settings, and where each is from"),
      element(
        "div",
        { class: "card scroll", tabindex: 0, role: "group", "aria-label": "Settings" },
        element("table", {}, element("tbody", {}, ...rows)),
      ),
    );
  }

  /** The task that the address names; without one the first of the list, on a screen that has room for both. */
  #followHash(): void {
    const named = idInHash();
    if (named !== undefined && named === this.#current && this.#browser.dataset.showing === "task") return;
    if (named !== undefined && this.#judged.has(named)) {
      const isFirst = this.#current === undefined;
      this.#open(named);
      if (isFirst) this.#browser.scrollIntoView({ behavior: "instant" });
    } else {
      this.#browser.dataset.showing = "list";
      if (this.#current === undefined) this.#current = this.#list.ids[0];
      this.#list.select(this.#current);
      this.#drawTask();
    }
  }

  #open(id: string): void {
    this.#current = id;
    const wasList = this.#browser.dataset.showing === "list";
    this.#browser.dataset.showing = "task";
    this.#list.select(id);
    this.#drawTask();
    if (!(wasList && isNarrow())) return;
    this.#browser.scrollIntoView({ behavior: "instant" });
    this.#view.querySelector("h2")?.focus({ preventScroll: true }); // the list, which had the focus, is out of sight
  }

  #drawTask(): void {
    const judged = this.#current === undefined ? undefined : this.#judged.get(this.#current);
    if (!judged) {
      this.#view.replaceChildren(element("p", { class: "empty" }, "No task to show."));
      return;
    }
    const held = this.#view.contains(document.activeElement) ? labelOf(document.activeElement!) : undefined;
    const open = [...this.#view.querySelectorAll("details")].map((details) => details.open);
    const isSame = this.#view.dataset.id === judged.task.id;
    this.#view.dataset.id = judged.task.id;
    const width = this.#view.clientWidth || innerWidth - 30;
    this.#view.replaceChildren(
      ...taskView(judged, {
        preferences: this.#preferences,
        width,
        go: (step) => this.#go(step),
        back: () => {
          location.hash = "";
          this.#browser.dataset.showing = "list";
          this.#list.root.querySelector<HTMLElement>("[aria-current]")?.focus();
        },
      }),
    );
    if (held !== undefined) this.#focusIn(this.#view, held);
    if (!isSame) return;
    for (const [i, details] of this.#view.querySelectorAll("details").entries()) details.open = open[i] ?? details.open;
  }

  /** Gives the focus to what is called so, or else to the heading: what had it was drawn anew. */
  #focusIn(part: HTMLElement, label: string): void {
    const controls = [...part.querySelectorAll<HTMLElement>("button, a, summary, select, input, [tabindex]")];
    (controls.find((control) => labelOf(control) === label) ?? part.querySelector("h2"))?.focus({ preventScroll: true });
  }

  /** To the next task of the list, or the one before. */
  #go(step: -1 | 1): void {
    const { ids } = this.#list;
    const at = ids.indexOf(this.#current ?? "");
    const to = ids[at < 0 ? 0 : Math.min(ids.length - 1, Math.max(0, at + step))];
    if (to === undefined) return;
    this.#visit(to);
  }

  /** Goes to a task, and gives it a place in the browser's history. */
  #visit(id: string): void {
    const hash = `#${encodeURIComponent(id)}`;
    if (location.hash !== hash) location.hash = hash; // no link is followed: in a notebook's frame it would lead to the notebook
    this.#open(id);
  }

  #click(event: MouseEvent): void {
    const href = (event.target as Element | null)?.closest("a")?.getAttribute("href");
    if (!href?.startsWith("#") || href === "#" || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    this.#visit(decodeURIComponent(href.slice(1)));
  }

  #skip(event: Event): void {
    event.preventDefault();
    this.#search();
    this.#list.root.scrollIntoView();
  }

  #search(): void {
    this.#browser.dataset.showing = "list"; // on a narrow screen a task hides it
    this.#list.search();
  }

  #key(event: KeyboardEvent): void {
    const target = event.target as HTMLElement;
    if (event.ctrlKey || event.metaKey || event.altKey || this.#help.open) return;
    if (target.matches("input, select, textarea")) {
      if (event.key === "Escape") target.blur();
      return;
    }
    const act = {
      j: () => this.#go(1),
      k: () => this.#go(-1),
      "/": () => this.#search(),
      s: () => this.#toggleSymbols(),
      p: () => this.#togglePalette(),
      t: () => this.#toggleTheme(),
      "?": () => this.#help.showModal(),
    }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }

  #toggleSymbols(): void {
    this.#preferences.symbols = !this.#preferences.symbols;
    this.#showPreferences();
    this.#drawTask();
  }

  #togglePalette(): void {
    this.#preferences.palette = this.#preferences.palette === "official" ? "arcprize" : "official";
    this.#showPreferences();
    this.#list.show([...this.#judged.values()], this.#current);
    this.#drawTask();
  }

  #toggleTheme(): void {
    this.#preferences.theme = this.#preferences.theme === "dark" ? "light" : "dark";
    this.#showPreferences();
  }

  #showPreferences(): void {
    const { theme, symbols, palette } = this.#preferences;
    document.documentElement.dataset.theme = theme;
    this.#symbols.setAttribute("aria-pressed", String(symbols));
    this.#palette.textContent = palette === "official" ? "◐ Official" : "◑ arcprize";
    this.#palette.setAttribute(
      "aria-label",
      `Palette: ${palette === "official" ? "Official, as in the first interface" : "arcprize.org's"}`,
    );
    this.#theme.textContent = theme === "dark" ? "☾" : "☀";
    this.#theme.setAttribute("aria-label", `Theme: ${theme}`);
    keepPreferences(this.#preferences);
  }

  #makeHelp(): HTMLDialogElement {
    const rows = KEYS.flatMap(([keys, does]) => [
      element("dt", {}, ...keys.map((key) => element("kbd", {}, key))),
      element("dd", {}, does),
    ]);
    const dialog = element("dialog", { "aria-labelledby": "keys-title" });
    dialog.append(
      element("h2", { id: "keys-title" }, "Keys"),
      element("dl", {}, ...rows),
      element("button", { type: "button", onclick: () => dialog.close() }, "Close"),
    );
    return dialog;
  }
}

/** What a control is called, for finding it again. */
function labelOf(control: Element): string {
  return control.getAttribute("aria-label") ?? control.textContent ?? "";
}

/** The task named in the address, if any. */
function idInHash(): string | undefined {
  try {
    const id = decodeURIComponent(location.hash.slice(1));
    return id === "" ? undefined : id;
  } catch {
    return undefined;
  }
}

function isNarrow(): boolean {
  return innerWidth <= 900;
}

/** Asks the server for newer data until the run is over, or the server is. */
function keepUp<D extends ReportData | DocumentData>(page: { show(data: D): void }, data: D): void {
  let tag: string | undefined;
  const ask = async (): Promise<void> => {
    try {
      const answer = await fetch(`/data${location.search}`, { headers: tag === undefined ? {} : { "If-None-Match": tag } });
      if (answer.status === 200) {
        tag = answer.headers.get("ETag") ?? undefined;
        const newer = (await answer.json()) as D;
        page.show(newer);
        if (newer.state === "finished") return;
      }
    } catch {} // the server is gone, or busy: what was shown stays
    setTimeout(ask, ASK_MILLIS);
  };
  if (data.state !== "finished") setTimeout(ask, ASK_MILLIS);
}

function begin<D extends ReportData | DocumentData>(page: { show(data: D): void }, data: D): void {
  page.show(data);
  if ("follow" in document.documentElement.dataset) keepUp(page, data);
}

const given = JSON.parse(document.getElementById("report-data")!.textContent!) as ReportData | DocumentData;
if ("kind" in given) begin(new DocumentPage(document.body), given);
else begin(new Page(document.body), given);
