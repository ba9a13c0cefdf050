/** The tasks at a glance: searched, filtered, sorted, walked through with the arrow keys. */
import { choice, element } from "./element.ts";
import { drawGrid, sizeOf } from "./grid-canvas.ts";
import { percent } from "./numbers.ts";
import type { Preferences } from "./preferences.ts";
import { type Judged, VERDICTS } from "./verdict.ts";

/** What the list shows, and in which order. */
export interface ListChoice {
  search: string;
  filter: Filter;
  sort: Sort;
}

const FILTERS = {
  all: { text: "all tasks", keep: () => true },
  solved: { text: "solved", keep: ({ verdict }: Judged) => verdict === "solved" },
  unsolved: { text: "not solved", keep: ({ known, solved }: Judged) => known > solved },
  unsure: { text: "unsure", keep: ({ isUnsure }: Judged) => isUnsure },
  "no-votes": { text: "without votes", keep: ({ voteShare }: Judged) => voteShare === 0 },
} as const;
export type Filter = keyof typeof FILTERS;

const SORTS = {
  file: { text: "as in the file", compare: () => 0 },
  "votes-down": { text: "vote share, most first", compare: (a: Judged, b: Judged) => b.voteShare - a.voteShare },
  "votes-up": { text: "vote share, least first", compare: (a: Judged, b: Judged) => a.voteShare - b.voteShare },
  "size-up": { text: "size, small first", compare: (a: Judged, b: Judged) => a.cells - b.cells },
  "size-down": { text: "size, large first", compare: (a: Judged, b: Judged) => b.cells - a.cells },
} as const;
export type Sort = keyof typeof SORTS;

const texts = <T extends string>(of: Readonly<Record<T, { readonly text: string }>>): Record<T, string> =>
  Object.fromEntries(Object.entries(of).map(([name, value]) => [name, (value as { text: string }).text])) as Record<T, string>;

/** Side of a thumbnail, in pixels. */
const THUMBNAIL = 42;

export class TaskList {
  readonly root: HTMLElement;
  readonly #items = element("ol", { class: "items" });
  readonly #count = element("p", { class: "count", role: "status" });
  readonly #search: HTMLInputElement;
  readonly #preferences: Preferences;
  readonly #choice: ListChoice;
  #judged: readonly Judged[] = [];
  #shown: readonly Judged[] = [];
  #current: string | undefined;
  #observer: IntersectionObserver | undefined;

  /** @param choice is changed by whoever uses the list */
  constructor(listChoice: ListChoice, preferences: Preferences) {
    this.#choice = listChoice;
    this.#preferences = preferences;
    this.#search = element("input", {
      type: "search",
      "aria-label": "Search task ids",
      placeholder: "Search ids  ( / )",
      value: listChoice.search,
      autocomplete: "off",
      oninput: () => {
        listChoice.search = this.#search.value;
        this.#list();
      },
    });
    const changed =
      <K extends keyof ListChoice>(name: K) =>
      (value: ListChoice[K]): void => {
        listChoice[name] = value;
        this.#list();
      };
    this.root = element(
      "div",
      { class: "card list" },
      element(
        "div",
        { class: "controls" },
        element("div", { class: "wide" }, this.#search),
        choice("Show", texts(FILTERS), listChoice.filter, changed("filter")),
        choice("Order", texts(SORTS), listChoice.sort, changed("sort")),
      ),
      this.#count,
      this.#items,
    );
    this.#items.addEventListener("keydown", (event) => this.#walk(event));
  }

  /** Ids that are listed now, in order. */
  get ids(): string[] {
    return this.#shown.map(({ task }) => task.id);
  }

  /** Puts the caret into the search. */
  search(): void {
    this.#search.focus();
    this.#search.select();
  }

  show(judged: readonly Judged[], current: string | undefined): void {
    this.#judged = judged;
    this.#current = current;
    this.#list();
  }

  /** Marks a task as the one that is looked at. */
  select(id: string | undefined): void {
    this.#current = id;
    for (const link of this.#links()) {
      const isIt = link.dataset.id === id;
      if (isIt) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
      link.tabIndex = isIt ? 0 : -1;
      if (isIt) this.#reveal(link);
    }
    this.#letIn();
  }

  #links(): HTMLAnchorElement[] {
    return [...this.#items.querySelectorAll("a")];
  }

  /** Scrolls the list, not the page. */
  #reveal(link: HTMLElement): void {
    const [box, at] = [this.#items.getBoundingClientRect(), link.getBoundingClientRect()];
    if (at.top < box.top) this.#items.scrollTop -= box.top - at.top;
    else if (at.bottom > box.bottom) this.#items.scrollTop += at.bottom - box.bottom;
  }

  /** Tab reaches one link of the list; the arrow keys the others. */
  #letIn(): void {
    const links = this.#links();
    if (links.length > 0 && !links.some(({ tabIndex }) => tabIndex === 0)) links[0]!.tabIndex = 0;
  }

  #walk(event: KeyboardEvent): void {
    const links = this.#links();
    const at = links.indexOf(document.activeElement as HTMLAnchorElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: links.length - 1 }[event.key];
    if (at < 0 || to === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    const link = links[Math.min(links.length - 1, Math.max(0, to))]!;
    link.tabIndex = 0;
    link.focus();
    link.click();
  }

  #list(): void {
    const { search, filter, sort } = this.#choice;
    const wanted = search.trim().toLowerCase();
    this.#shown = this.#judged
      .filter((judged) => FILTERS[filter].keep(judged) && judged.task.id.toLowerCase().includes(wanted))
      .sort((a, b) => SORTS[sort].compare(a, b) || a.index - b.index);
    this.#count.textContent =
      this.#shown.length === this.#judged.length ? `${this.#judged.length} tasks` : `${this.#shown.length} of ${this.#judged.length} tasks`;
    this.#observer?.disconnect();
    this.#observer = new IntersectionObserver((seen) => this.#draw(seen), { rootMargin: "200px" });
    const items = this.#shown.map((judged) => this.#item(judged));
    const { scrollTop } = this.#items;
    const focused = this.#items.contains(document.activeElement) ? (document.activeElement as HTMLElement).dataset.id : undefined;
    this.#items.replaceChildren(...items);
    this.#items.scrollTop = scrollTop;
    if (focused !== undefined)
      this.#links()
        .find((link) => link.dataset.id === focused)
        ?.focus({ preventScroll: true });
    if (items.length === 0) this.#items.append(element("li", { class: "empty" }, "No task is like that."));
    this.select(this.#current);
  }

  #item({ task, verdict, voteShare }: Judged): HTMLElement {
    const { text, mark, kind } = VERDICTS[verdict];
    const [first] = task.test;
    const { rows, cols } = sizeOf(first?.input ?? "");
    const votes = task.state !== "worked-on" ? "" : voteShare > 0 ? `, ${percent(voteShare)} of votes` : ", no votes";
    const size = rows > 0 ? `${rows} × ${cols}` : "";
    const thumbs = element("span", { class: "thumbs", "aria-hidden": "true" });
    const link = element(
      "a",
      { href: `#${encodeURIComponent(task.id)}`, tabindex: -1 },
      thumbs,
      element(
        "span",
        {},
        element("span", { class: "id mono", style: "display: block" }, task.id),
        element("span", { class: "facts" }, `${size}${votes}`),
      ),
      element(
        "span",
        { class: `mark ${kind}`, title: text },
        element("span", { "aria-hidden": "true" }, mark),
        element("span", { class: "hidden" }, `, ${text}`),
      ),
    );
    link.dataset.id = task.id;
    this.#observer!.observe(thumbs);
    return element("li", {}, link);
  }

  /** Thumbnails are drawn when they come into sight. */
  #draw(seen: readonly IntersectionObserverEntry[]): void {
    for (const { target, isIntersecting } of seen) {
      if (!isIntersecting) continue;
      this.#observer!.unobserve(target);
      const id = target.closest("a")!.dataset.id;
      const first = this.#shown.find(({ task }) => task.id === id)?.task.test[0];
      const options = { side: THUMBNAIL, preferences: this.#preferences, thumbnail: true };
      for (const grid of [first?.input, first?.attempts[0]]) if (grid) target.append(drawGrid(grid, undefined, options));
    }
  }
}
