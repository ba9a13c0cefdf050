/** Curves: one picture each, read off with the mouse or the arrow keys. */
import type { Curve } from "../report-data.ts";
import { element, svg } from "./element.ts";
import { axisNumber, clockTicks, count, duration, ticks } from "./numbers.ts";

const HEIGHT = 190;
const MARGIN = { left: 46, right: 12, top: 10, bottom: 24 };

/** Series that are told apart: by colours, and further ones by the same colours dashed. */
const SOLID = 3;
const SERIES = 6;
const colorOf = (i: number): string => `var(--series-${(i % SOLID) + 1})`;

type Point = readonly [number, number];

export function chart({ title, x, unit, noisy, series }: Curve): HTMLElement {
  const all = series.flatMap(({ points }) => points);
  const [x0, x1] = rangeOf(all.map(([at]) => at));
  const bands = series.flatMap(({ band = [] }) => band.flatMap(([, from, to]) => [from, to]));
  const [low, high] = rangeOf([...all.map(([, value]) => value), ...bands]);
  const y0 = unit === "%" || low >= 0 ? 0 : low;
  const y1 = unit === "%" ? Math.min(100, Math.max(10, high * 1.05)) : high > y0 ? y0 + (high - y0) * 1.05 : y0 + 1;
  const shown = (value: number): string => `${Number(value.toPrecision(3))}${unit === "" ? "" : ` ${unit}`}`;
  const at = (value: number): string => (x === "seconds" ? duration(value) : `step ${count(value)}`);

  const values = series.map(() => element("b"));
  const where = element("span", { class: "soft" });
  const legend = element(
    "p",
    { class: "legend" },
    ...series.map(({ name }, i) => {
      const swatch = element("i", { class: i % SERIES >= SOLID ? "dashed" : "" });
      swatch.style.setProperty("--color", colorOf(i));
      return element("span", {}, swatch, `${name} `, values[i]!);
    }),
  );
  const ends = series.map(({ name, points }) => `${name} from ${shown(points[0]![1])} to ${shown(points.at(-1)![1])}`);
  const spoken = element("span", { class: "hidden", "aria-live": "polite" });
  const plot = element("div", {
    class: "plot",
    tabindex: 0,
    role: "group",
    "aria-label": `${title}: ${ends.join(", ")}. Arrow keys read off values.`,
  });
  let chosen: number | undefined;
  let cursor: SVGElement | undefined;
  let width = 0;

  const toX = (value: number): number => MARGIN.left + ((value - x0) / Math.max(1e-9, x1 - x0)) * (width - MARGIN.left - MARGIN.right);
  const toY = (value: number): number => HEIGHT - MARGIN.bottom - ((value - y0) / (y1 - y0)) * (HEIGHT - MARGIN.top - MARGIN.bottom);
  const longest = series.reduce((best, each) => (each.points.length > best.points.length ? each : best)).points;

  const tell = (): void => {
    const place = chosen === undefined ? longest.at(-1)![0] : longest[chosen]![0];
    const read = series.map(({ points }) => nearest(points, place)[1]);
    for (const [i, value] of read.entries()) values[i]!.textContent = shown(value);
    where.textContent = chosen === undefined ? "" : at(place);
    cursor?.setAttribute("transform", `translate(${toX(place)} 0)`);
    cursor?.setAttribute("visibility", chosen === undefined ? "hidden" : "visible");
    if (chosen !== undefined && document.activeElement === plot)
      spoken.textContent = `${at(place)}: ${series.map(({ name }, i) => `${name} ${shown(read[i]!)}`).join(", ")}`;
  };

  const draw = (): void => {
    width = plot.clientWidth || 380;
    const across = svg("g", {});
    for (const value of ticks(y0, y1, 4)) {
      across.append(
        svg("line", { class: "axis", x1: MARGIN.left, x2: width - MARGIN.right, y1: toY(value), y2: toY(value) }),
        svg("text", { x: MARGIN.left - 7, y: toY(value) + 4, "text-anchor": "end" }, axisNumber(value)),
      );
    }
    const pieces = width > 330 ? 5 : 3;
    for (const value of x === "seconds" ? clockTicks(x0, x1, pieces) : ticks(x0, x1, pieces)) {
      const text = x === "seconds" ? duration(value) : count(value);
      across.append(svg("text", { x: toX(value), y: HEIGHT - 6, "text-anchor": "middle" }, text));
    }
    const around = series.flatMap(({ band = [] }, i) => {
      if (band.length < 2) return [];
      const [upper, lower] = [band.map(([at, , to]) => [at, to]), band.toReversed().map(([at, from]) => [at, from])];
      const points = [...upper, ...lower].map(([px, py]) => `${toX(px!).toFixed(1)},${toY(py!).toFixed(1)}`).join(" ");
      return [svg("polygon", { points, fill: colorOf(i), opacity: 0.14 })];
    });
    const lines = series.flatMap(({ points }, i) => {
      const color = colorOf(i);
      const line = (of: readonly Point[], attributes: Record<string, unknown>): SVGElement =>
        svg("polyline", {
          points: of.map(([px, py]) => `${toX(px).toFixed(1)},${toY(py).toFixed(1)}`).join(" "),
          fill: "none",
          stroke: color,
          "stroke-linejoin": "round",
          "stroke-dasharray": i % SERIES >= SOLID ? "5 3" : undefined,
          ...attributes,
        });
      if (points.length === 1) return [svg("circle", { cx: toX(points[0]![0]), cy: toY(points[0]![1]), r: 3.5, fill: color })];
      if (!noisy || points.length < 12) return [line(points, { "stroke-width": 2 })];
      return [line(points, { "stroke-width": 1, opacity: 0.35 }), line(smoothed(points), { "stroke-width": 2 })];
    });
    cursor = svg("line", {
      stroke: "var(--ink-soft)",
      "stroke-dasharray": "3 3",
      x1: 0,
      x2: 0,
      y1: MARGIN.top,
      y2: HEIGHT - MARGIN.bottom,
    });
    const picture = svg("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, "aria-hidden": "true" }, across, ...around, ...lines, cursor);
    plot.replaceChildren(picture);
    tell();
  };

  const choose = (index: number | undefined): void => {
    chosen = index === undefined ? undefined : Math.min(longest.length - 1, Math.max(0, index));
    tell();
  };
  plot.addEventListener("pointermove", (event) => {
    const value = x0 + ((event.offsetX - MARGIN.left) / Math.max(1, width - MARGIN.left - MARGIN.right)) * (x1 - x0);
    choose(longest.indexOf(nearest(longest, value)));
  });
  plot.addEventListener("pointerleave", () => choose(undefined));
  plot.addEventListener("blur", () => choose(undefined));
  plot.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const end = { Home: 0, End: longest.length - 1 }[event.key];
    if (step === undefined && end === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    choose(end ?? (chosen ?? longest.length - 1) + step!);
  });
  new ResizeObserver(draw).observe(plot);
  return element("div", { class: "card chart" }, element("h3", {}, title, where), legend, plot, spoken);
}

function rangeOf(values: readonly number[]): [number, number] {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of values) [low, high] = [Math.min(low, value), Math.max(high, value)];
  return [low, high];
}

/** The point that is nearest to a place; points are in order. */
function nearest(points: readonly Point[], place: number): Point {
  let [from, to] = [0, points.length - 1];
  while (to - from > 1) {
    const middle = (from + to) >> 1;
    if (points[middle]![0] <= place) from = middle;
    else to = middle;
  }
  return Math.abs(points[from]![0] - place) <= Math.abs(points[to]![0] - place) ? points[from]! : points[to]!;
}

/** The mean of each point's neighbourhood. */
function smoothed(points: readonly Point[]): Point[] {
  const reach = Math.max(1, Math.round(points.length / 24));
  return points.map(([at], i) => {
    const near = points.slice(Math.max(0, i - reach), i + reach + 1);
    return [at, near.reduce((sum, [, value]) => sum + value, 0) / near.length];
  });
}
