/** Shares with their intervals: a row for each name, a line for each measure. */
import type { IntervalBars } from "../report-data.ts";
import { element, svg } from "./element.ts";
import { percent, ticks } from "./numbers.ts";

const LINE = 13;
const GAP = 16;
const TOP = 6;

export function intervals({ measures, rows }: IntervalBars): HTMLElement {
  const values = rows.flatMap((row) => row.values);
  const low = Math.min(0, ...values.map((value) => value.low));
  const high = Math.max(low + 0.05, ...values.map((value) => value.high));
  const said = rows.map(
    ({ name, values: of }) =>
      `${name}: ${of.map(({ mean, low: from, high: to }, m) => `${measures[m]} ${percent(mean)}, from ${percent(from)} to ${percent(to)}`).join("; ")}`,
  );
  const holder = element("div", { class: "intervals", role: "img", "aria-label": said.join(". ") });
  const draw = (): void => {
    const width = holder.clientWidth || 700;
    const isNarrow = width < 520;
    const left = isNarrow ? 10 : Math.min(280, 0.36 * width);
    const rowHeight = measures.length * LINE + GAP + (isNarrow ? 18 : 0);
    const height = TOP + rows.length * rowHeight + 24;
    const x = (share: number): number => left + ((share - low) / (high - low)) * (width - left - 24);
    const grid = ticks(low, high, isNarrow ? 4 : 8).flatMap((share) => [
      svg("line", { class: "axis", x1: x(share), x2: x(share), y1: TOP, y2: height - 20 }),
      svg("text", { x: x(share), y: height - 4, "text-anchor": "middle" }, `${Number((100 * share).toFixed(1))} %`),
    ]);
    const drawn = rows.flatMap(({ name, detail, values: of }, r) => {
      const top = TOP + r * rowHeight + (isNarrow ? 18 : 0);
      const middle = top + (measures.length * LINE) / 2;
      const label = isNarrow
        ? [svg("text", { class: "name", x: left, y: top - 4 }, `${name} (${detail})`)]
        : [
            svg("text", { class: "name", x: left - 14, y: middle, "text-anchor": "end" }, name),
            svg("text", { x: left - 14, y: middle + 15, "text-anchor": "end" }, detail),
          ];
      const bars = of.flatMap(({ mean, low: from, high: to }, m) => {
        const y = top + (m + 0.5) * LINE;
        const stroke = `var(--series-${(m % 3) + 1})`;
        return [
          svg("line", { x1: x(from), x2: x(to), y1: y, y2: y, stroke, "stroke-width": 2 }),
          svg(
            "circle",
            { cx: x(mean), cy: y, r: 4.5, fill: stroke },
            svg("title", {}, `${name}: ${measures[m]} ${percent(mean)} (${percent(from)} to ${percent(to)})`),
          ),
        ];
      });
      return [...label, ...bars];
    });
    holder.replaceChildren(svg("svg", { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" }, ...grid, ...drawn));
  };
  new ResizeObserver(draw).observe(holder);
  const legend = measures.map((name, m) => {
    const swatch = element("i");
    swatch.style.background = `var(--series-${(m % 3) + 1})`;
    return element("span", {}, swatch, name);
  });
  return element("div", { class: "card" }, element("p", { class: "legend" }, ...legend), holder);
}
