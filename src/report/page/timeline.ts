/** The plan beside what was done, each worker, and trouble. */
import type { ReportData, Span, Timeline, WorkerLane } from "../report-data.ts";
import { element, svg } from "./element.ts";
import { clockTicks, duration } from "./numbers.ts";

const ROW = 28;
const BAR = 18;
const TOP = 6;

const NAMES: Readonly<Record<string, string>> = {
  load: "load",
  measure: "measure",
  train: "adapt",
  predict: "predict",
};
const nameOf = (phase: string): string => NAMES[phase] ?? phase;
const colorOf = (phase: string): string => (phase in NAMES ? `var(--phase-${phase})` : "var(--phase-load)");

export function timelineSection({ timeline, summary }: ReportData): HTMLElement {
  const card = element("div", { class: "card" });
  const plot = element("div");
  const end = Math.max(summary.budgetSeconds ?? 0, summary.elapsedSeconds, 1);
  new ResizeObserver(() => draw(plot, timeline, end, summary.budgetSeconds)).observe(plot);
  card.append(plot, phaseTable(timeline), ...troubles(timeline));
  return card;
}

function draw(plot: HTMLElement, timeline: Timeline, end: number, budgetSeconds: number | undefined): void {
  const width = plot.clientWidth || 600;
  const left = width < 480 ? 64 : 84;
  const x = (seconds: number): number => left + (seconds / end) * (width - left - 14);
  const plan = timeline.plans.at(-1);
  const rows: { name: string; draw: (y: number) => SVGElement[] }[] = [
    ...(plan ? [{ name: "Plan", draw: (y: number) => bars(plan.phases, y, 0.55) }] : []),
    {
      name: "Run",
      draw: (y: number) => [...bars(timeline.phases, y, 1), ...timeline.resumed.map((at) => mark(at, y, "↻", "taken up again"))],
    },
    ...timeline.workers.map((lane) => ({ name: `Worker ${lane.rank}`, draw: (y: number) => laneOf(lane, y) })),
  ];
  const height = TOP + rows.length * ROW + 22;
  const bottom = TOP + rows.length * ROW;

  function bars(spans: readonly Span[], y: number, opacity: number): SVGElement[] {
    return spans.flatMap(({ name, from, to }) => {
      const wide = Math.max(1.5, x(to) - x(from));
      const bar = svg(
        "rect",
        { x: x(from), y, width: wide, height: BAR, rx: 3, fill: colorOf(name), opacity },
        svg("title", {}, `${nameOf(name)}: ${duration(from)} to ${duration(to)} (${duration(to - from)})`),
      );
      const label = `${nameOf(name)} ${duration(to - from)}`;
      const fits = wide > label.length * 7 + 10;
      return fits && opacity === 1 ? [bar, svg("text", { class: "on-bar", x: x(from) + 8, y: y + 13 }, label)] : [bar];
    });
  }
  function mark(at: number, y: number, sign: string, text: string): SVGElement {
    const title = svg("title", {}, `${duration(at)}: ${text}`);
    const circle = svg("circle", { cx: x(at), cy: y + BAR / 2, r: 8.5, fill: "var(--bad)", stroke: "var(--card)", "stroke-width": 1.5 });
    const letter = svg(
      "text",
      { x: x(at), y: y + BAR / 2 + 4, "text-anchor": "middle", style: "fill: var(--card); font-weight: 700" },
      sign,
    );
    return svg("g", {}, title, circle, letter);
  }
  function laneOf({ spans, losses }: WorkerLane, y: number): SVGElement[] {
    const there = spans.map(({ from, to }) =>
      svg("rect", { x: x(from), y: y + 5, width: Math.max(1.5, x(to) - x(from)), height: 8, rx: 3, fill: "var(--line-strong)" }),
    );
    return [...there, ...losses.map(({ at, again, text }) => mark(at, y, again ? "↻" : "×", text))];
  }

  const picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, height, role: "img", "aria-label": describe(timeline) });
  for (const at of clockTicks(0, end, width < 480 ? 4 : 9)) {
    picture.append(
      svg("line", { class: "axis", x1: x(at), x2: x(at), y1: TOP - 4, y2: bottom }),
      svg("text", { x: x(at), y: height - 6, "text-anchor": "middle" }, duration(at)),
    );
  }
  rows.forEach((row, i) => {
    const y = TOP + i * ROW + (ROW - BAR) / 2 - 2;
    picture.append(svg("text", { x: 0, y: y + 13 }, row.name), ...row.draw(y));
  });
  if (budgetSeconds !== undefined) {
    const line = { x1: x(budgetSeconds), x2: x(budgetSeconds), y1: TOP - 4, y2: bottom, stroke: "var(--bad)", "stroke-width": 1.5 };
    picture.append(svg("line", { ...line, "stroke-dasharray": "4 3" }, svg("title", {}, `budget: ${duration(budgetSeconds)}`)));
  }
  plot.replaceChildren(picture);
}

/** The picture in words. */
function describe({ phases, workers, resumed }: Timeline): string {
  const spans = phases.map(({ name, from, to }) => `${nameOf(name)} from ${duration(from)} to ${duration(to)}`);
  const losses = workers.flatMap(({ rank, losses }) =>
    losses.map(({ at, again }) => `worker ${rank} was lost at ${duration(at)}${again ? " and started again" : ""}`),
  );
  return [...spans, ...losses, ...resumed.map((at) => `taken up again at ${duration(at)}`)].join("; ");
}

function phaseTable({ phases, plans, workers }: Timeline): HTMLElement {
  const names = [...new Set([...phases, ...(plans.at(-1)?.phases ?? [])].map(({ name }) => name))];
  const total = (spans: readonly Span[], name: string): string => {
    const found = spans.filter((span) => span.name === name);
    return found.length === 0 ? "–" : duration(found.reduce((sum, { from, to }) => sum + to - from, 0));
  };
  const cell = (text: string, number = true): HTMLElement => element("td", number ? { class: "number" } : {}, text);
  const lost = workers.flatMap(({ losses }) => losses);
  const memory = workers
    .filter(({ peakBytes }) => peakBytes > 0)
    .map(({ rank, peakBytes }) => `${rank}: ${Math.round(peakBytes / 2 ** 20)} MiB`);
  return element(
    "div",
    { class: "scroll phases", tabindex: 0, role: "group", "aria-label": "Phases, planned and as they went" },
    element(
      "table",
      {},
      element(
        "thead",
        {},
        element(
          "tr",
          {},
          ...["Phase", "Planned", "Took"].map((text, i) => element("th", { scope: "col", class: i > 0 && "number" }, text)),
        ),
      ),
      element(
        "tbody",
        {},
        ...names.map((name) => {
          const swatch = element("i");
          swatch.style.cssText = `display: inline-block; width: 10px; height: 10px; border-radius: 3px; margin-right: 8px; background: ${colorOf(name)}`;
          return element(
            "tr",
            {},
            element("th", { scope: "row" }, swatch, nameOf(name)),
            cell(total(plans.at(-1)?.phases ?? [], name)),
            cell(total(phases, name)),
          );
        }),
      ),
    ),
    element(
      "p",
      { class: "soft" },
      lost.length === 0 ? "No worker was lost. " : `Workers were lost ${lost.length === 1 ? "once" : `${lost.length} times`}. `,
      memory.length > 0 && `Most memory of a worker: ${memory.join(", ")}.`,
    ),
  );
}

function troubles({ troubles: all }: Timeline): HTMLElement[] {
  if (all.length === 0) return [];
  const errors = all.filter(({ level }) => level === "error").length;
  const warnings = all.length - errors;
  const counted = [
    errors > 0 && `${errors} ${errors === 1 ? "error" : "errors"}`,
    warnings > 0 && `${warnings} ${warnings === 1 ? "warning" : "warnings"}`,
  ];
  const rows = all.map(({ at, level, text }) =>
    element(
      "tr",
      {},
      element("td", { class: "number" }, duration(at)),
      element("td", {}, element("span", { class: `badge ${level === "error" ? "bad" : "half"}` }, level)),
      element("td", {}, text),
    ),
  );
  return [
    element(
      "details",
      { class: "troubles" },
      element("summary", {}, counted.filter((text) => text !== false).join(", ")),
      element(
        "div",
        { class: "scroll", tabindex: 0, role: "group", "aria-label": "Warnings and errors" },
        element("table", {}, element("tbody", {}, ...rows)),
      ),
    ),
  ];
}
