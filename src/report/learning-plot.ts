/** A training's learning as a picture: curves in panels, and a strip for each task. SVG, readable in light and dark. */
import type { Learning } from "../metrics/learning-file.ts";
import { movedSeries, taskCurves } from "./learning-curves.ts";
import type { Curve } from "./report-data.ts";

const COLORS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f"]; // Okabe and Ito's, told apart by colour-blind people
const PANEL = { width: 400, height: 220, left: 56, right: 14, top: 34, bottom: 30 };
const COLUMNS = 2;
const STRIP = { height: 9, left: 190, gap: 2 };

type Point = readonly [number, number];
interface Series {
  readonly name: string;
  readonly points: readonly Point[];
}

/** @returns the file's text */
export function learningPlot(title: string, learning: Learning, curves: readonly Curve[]): string {
  const panels = [
    ...curves
      .filter(({ x }) => x === "step")
      .map((curve) => ({ title: `${curve.title}${curve.unit === "" ? "" : `, ${curve.unit}`}`, series: curve.series })),
    { title: "Distance from the start by part, relative", series: movedSeries(learning) },
  ].filter(({ series }) => series.length > 0);
  const rows = Math.ceil(panels.length / COLUMNS);
  const width = COLUMNS * PANEL.width;
  const heights = panels.map(({ series }) => PANEL.height + 14 * Math.ceil(series.length / 2));
  const rowHeights = Array.from({ length: rows }, (_, row) => Math.max(...heights.slice(row * COLUMNS, (row + 1) * COLUMNS)));
  const topOf = (row: number): number => 40 + rowHeights.slice(0, row).reduce((sum, height) => sum + height, 0);
  const drawn = panels.map((panel, i) => panelOf(panel, (i % COLUMNS) * PANEL.width, topOf(Math.floor(i / COLUMNS))));
  const tasks = strips(learning, topOf(rows), width);
  const height = topOf(rows) + tasks.height;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escaped(`Learning of ${title}`)}">
<style>text{font:12px system-ui,sans-serif;fill:#1b1b1b}.title{font-size:14px;font-weight:600}.small{font-size:10px}.grid{stroke:#8888;stroke-width:.5}.none{fill:#8883}@media (prefers-color-scheme:dark){text{fill:#eee}}</style>
<text class="title" x="12" y="22">${escaped(title)}</text>
${[...drawn, tasks.text].join("\n")}
</svg>
`;
}

function panelOf({ title, series }: { readonly title: string; readonly series: readonly Series[] }, x0: number, y0: number): string {
  const all = series.flatMap(({ points }) => points);
  const [lastStep, low, high] = [
    Math.max(1, ...all.map(([step]) => step)),
    Math.min(0, ...all.map(([, value]) => value)),
    Math.max(1e-9, ...all.map(([, value]) => value)),
  ];
  const x = (step: number): number => x0 + PANEL.left + (step / lastStep) * (PANEL.width - PANEL.left - PANEL.right);
  const y = (value: number): number =>
    y0 + PANEL.height - PANEL.bottom - ((value - low) / (high - low)) * (PANEL.height - PANEL.top - PANEL.bottom);
  const ticks = [0, 0.25, 0.5, 0.75, 1].map((share) => low + share * (high - low));
  return [
    `<text x="${x0 + 12}" y="${y0 + 18}">${escaped(title)}</text>`,
    ...ticks.map(
      (value) =>
        `<line class="grid" x1="${x(0)}" x2="${x(lastStep)}" y1="${y(value).toFixed(1)}" y2="${y(value).toFixed(1)}"/><text class="small" x="${x(0) - 6}" y="${(y(value) + 3).toFixed(1)}" text-anchor="end">${Number(value.toPrecision(3))}</text>`,
    ),
    `<text class="small" x="${x(0)}" y="${y0 + PANEL.height - 14}">step 0</text><text class="small" x="${x(lastStep)}" y="${y0 + PANEL.height - 14}" text-anchor="end">${lastStep}</text>`,
    ...series.map(({ name, points }, i) => {
      const color = COLORS[i % COLORS.length];
      const dashes = i < COLORS.length ? "" : ' stroke-dasharray="4 3"';
      const path = points.map(([step, value]) => `${x(step).toFixed(1)},${y(value).toFixed(1)}`).join(" ");
      const [legendX, legendY] = [x0 + PANEL.left + (i % 2) * 165, y0 + PANEL.height + 2 + 14 * Math.floor(i / 2)];
      const shape =
        points.length === 1
          ? `<circle cx="${x(points[0]![0]).toFixed(1)}" cy="${y(points[0]![1]).toFixed(1)}" r="3" fill="${color}"/>`
          : `<polyline points="${path}" fill="none" stroke="${color}" stroke-width="1.6"${dashes}/>`;
      return `${shape}<line x1="${legendX}" x2="${legendX + 14}" y1="${legendY - 3}" y2="${legendY - 3}" stroke="${color}" stroke-width="2"${dashes}/><text class="small" x="${legendX + 19}" y="${legendY}">${escaped(shortName(name))} ${Number(points.at(-1)![1].toPrecision(3))}</text>`;
    }),
  ].join("\n");
}

/** A strip a task, a cell a point: the share of its samples that were wholly right. Those that fare worst stand first. */
function strips(learning: Learning, y0: number, width: number): { readonly text: string; readonly height: number } {
  const steps = learning.training.map(({ step }) => step);
  const tasks = taskCurves(learning).filter(({ exact }) => exact.length > 0);
  if (tasks.length === 0) return { text: "", height: 20 };
  const cell = (width - STRIP.left - 20) / steps.length;
  const rows = tasks.map(({ id, exact }, row) => {
    const at = new Map(exact);
    const y = y0 + 34 + row * (STRIP.height + STRIP.gap);
    const cells = steps.map((step, i) => {
      const share = at.get(step);
      const box = `x="${(STRIP.left + i * cell).toFixed(1)}" y="${y}" width="${(cell - 0.6).toFixed(1)}" height="${STRIP.height}"`;
      if (share === undefined) return `<rect class="none" ${box}/>`;
      return `<rect ${box} fill="#0072b2" fill-opacity="${(0.08 + 0.92 * share).toFixed(2)}"><title>${escaped(id)}, step ${step}: ${(100 * share).toFixed(0)} %</title></rect>`;
    });
    return `<text class="small" x="${STRIP.left - 8}" y="${y + 8}" text-anchor="end">${escaped(id.slice(0, 26))}</text>${cells.join("")}`;
  });
  return {
    text: [
      `<text x="12" y="${y0 + 20}">Tasks: share of samples wholly right, the darker the more, from step ${steps[0]} to ${steps.at(-1)}</text>`,
      ...rows,
    ].join("\n"),
    height: 54 + tasks.length * (STRIP.height + STRIP.gap),
  };
}

/** Parts of the trunk in fewer letters. */
function shortName(name: string): string {
  return name.replace("L_level.layers.", "block ").replace(".self_attn", " attention").replace(".mlp", " SwiGLU");
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
