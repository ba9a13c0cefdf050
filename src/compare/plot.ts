/** A comparison as a picture: a row for each arm, its measures as points on their intervals. SVG, readable in light and dark. */
import { MEASURES, type Summary } from "./summary.ts";

const ROW = 46;
const LEFT = 210;
const WIDTH = 560;
const TOP = 46;
const STYLES = ["#0072b2", "#d55e00", "#009e73"] as const; // told apart by colour-blind people too, and by their places in the row
const LIGHT = "#1b1b1b";
const DARK = "#eeeeee";

/** @returns the file's text */
export function comparisonPlot({ tasks, arms }: Summary): string {
  const most = Math.max(0.05, ...arms.flatMap(({ measures }) => MEASURES.map((measure) => measures[measure].high)));
  const step = [0.01, 0.02, 0.05, 0.1, 0.2].find((size) => most / size <= 8) ?? 0.2;
  const end = Math.ceil(most / step) * step;
  const x = (share: number): string => (LEFT + (share / end) * WIDTH).toFixed(1);
  const bottom = TOP + arms.length * ROW;
  const ticks = Array.from({ length: Math.round(end / step) + 1 }, (_, i) => i * step);
  const parts = [
    ...ticks.map(
      (at) =>
        `<line class="grid" x1="${x(at)}" x2="${x(at)}" y1="${TOP}" y2="${bottom}"/><text class="small" x="${x(at)}" y="${bottom + 18}" text-anchor="middle">${Math.round(100 * at)} %</text>`,
    ),
    ...MEASURES.map(
      (measure, m) =>
        `<circle cx="${LEFT + 6 + 130 * m}" cy="22" r="5" fill="${STYLES[m]}"/><text class="small" x="${LEFT + 17 + 130 * m}" y="26">${measure === "oracle" ? "among all answers" : measure}</text>`,
    ),
    ...arms.flatMap(({ name, measures, seeds }, i) => {
      const middle = TOP + (i + 0.5) * ROW;
      return [
        `<text x="${LEFT - 12}" y="${middle}" text-anchor="end">${escaped(name)}</text>`,
        `<text class="small" x="${LEFT - 12}" y="${middle + 15}" text-anchor="end">${seeds.length} ${seeds.length === 1 ? "seed" : "seeds"}</text>`,
        ...MEASURES.map((measure, m) => {
          const { mean, low, high } = measures[measure];
          const y = middle + 12 * (m - 1);
          return `<line x1="${x(low)}" x2="${x(high)}" y1="${y}" y2="${y}" stroke="${STYLES[m]}" stroke-width="2"/><circle cx="${x(mean)}" cy="${y}" r="4.5" fill="${STYLES[m]}"><title>${escaped(name)}: ${measure} ${(100 * mean).toFixed(1)} % (${(100 * low).toFixed(1)} .. ${(100 * high).toFixed(1)})</title></circle>`;
        }),
      ];
    }),
  ];
  const [width, height] = [LEFT + WIDTH + 40, bottom + 48];
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="Comparison of ${arms.length} arms on ${tasks} tasks">
<style>text{font:14px system-ui,sans-serif;fill:${LIGHT}}.small{font-size:11px}.grid{stroke:#8888;stroke-width:.5}@media (prefers-color-scheme:dark){text{fill:${DARK}}}</style>
${parts.join("\n")}
<text class="small" x="${LEFT}" y="${bottom + 38}">per task, the share of its test inputs, ${tasks} tasks; lines hold 95 % of drawing tasks and seeds anew</text>
</svg>
`;
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
