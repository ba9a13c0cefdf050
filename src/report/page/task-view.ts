/** One task in full: demonstrations, test inputs, attempts, further candidates, the solution where it is known. */
import type { PackedGrid, TestReport } from "../report-data.ts";
import { element } from "./element.ts";
import { differingCells, drawGrid, sizeText } from "./grid-canvas.ts";
import { count, percent } from "./numbers.ts";
import type { Preferences } from "./preferences.ts";
import { type Judged, VERDICTS } from "./verdict.ts";

export interface TaskViewOptions {
  readonly preferences: Preferences;
  /** pixels between the edges of the view */
  readonly width: number;
  go(step: -1 | 1): void;
  back(): void;
}

export function taskView({ task, verdict, solved, known }: Judged, options: TaskViewOptions): Node[] {
  const { text, kind, mark } = VERDICTS[verdict];
  const side = Math.max(96, Math.min(230, Math.floor((options.width - 70) / 2)));
  const of = known > 1 && verdict !== "unreadable" ? ` (${solved} of ${known})` : "";
  const header = element(
    "header",
    {},
    element("button", { class: "back", type: "button", onclick: options.back }, "← All tasks"),
    element("h2", { class: "mono", tabindex: -1 }, task.id),
    element("span", { class: `badge ${kind}` }, element("span", { "aria-hidden": "true" }, mark), `${text}${of}`),
    element(
      "div",
      { class: "steps" },
      element("button", { type: "button", "aria-label": "Previous task", title: "Previous task (k)", onclick: () => options.go(-1) }, "↑"),
      element("button", { type: "button", "aria-label": "Next task", title: "Next task (j)", onclick: () => options.go(1) }, "↓"),
    ),
  );
  const draw = (
    grid: PackedGrid,
    name: string,
    more: { truth?: PackedGrid | undefined; side?: number; said?: readonly (Node | string)[] } = {},
  ): HTMLElement =>
    element(
      "figure",
      { class: "grid" },
      frame(
        drawGrid(grid, `${name}, ${sizeText(grid)} cells`, {
          side: more.side ?? side,
          preferences: options.preferences,
          truth: more.truth,
        }),
      ),
      element("figcaption", {}, element("b", {}, name), ` ${sizeText(grid)}`, ...(more.said ?? [])),
    );
  const pairs = task.train.map(([input, output], i) =>
    element(
      "div",
      { class: "pair", role: "group", "aria-label": `Demonstration ${i + 1}` },
      draw(input, `Input ${i + 1}`, { side: Math.min(side, 190) }),
      element("span", { class: "arrow", "aria-hidden": "true" }, "↓"),
      draw(output, `Output ${i + 1}`, { side: Math.min(side, 190) }),
    ),
  );
  return [
    header,
    ...(task.problems ?? []).map((problem) => element("p", { class: "notice bad" }, `This task can't be worked on: it ${problem}.`)),
    ...(pairs.length > 0 ? [element("h3", {}, "Demonstrations"), element("div", { class: "grids" }, ...pairs)] : []),
    ...task.test.flatMap((test, i) => testOf(test, task.test.length > 1 ? `Test ${i + 1}` : "Test", draw)),
  ];
}

type Draw = (
  grid: PackedGrid,
  name: string,
  more?: { truth?: PackedGrid | undefined; side?: number; said?: readonly (Node | string)[] },
) => HTMLElement;

function testOf({ input, solution, attempts, candidates, votes }: TestReport, name: string, draw: Draw): Node[] {
  const answers = [0, 1].map((i) => {
    const title = `Attempt ${i + 1}`;
    const grid = attempts[i];
    if (grid === undefined)
      return element("div", { class: "grid" }, element("p", { class: "nothing" }, `${title}: none in the submission`));
    const candidate = candidates.find((each) => each.grid === grid);
    const said = candidate ? votesOf(candidate, votes) : [element("span", { class: "said" }, "a guess, without votes")];
    return draw(grid, title, { truth: solution, said: [...said, ...comparison(grid, solution)] });
  });
  const further = candidates.filter(({ grid }) => grid !== "" && !attempts.includes(grid));
  const empty = candidates.find(({ grid }) => grid === "");
  return [
    element(
      "h3",
      {},
      name,
      element("span", { class: "soft", style: "font-weight: 400" }, `${count(votes)} ${votes === 1 ? "vote" : "votes"}`),
    ),
    element(
      "div",
      { class: "grids" },
      input === undefined ? element("p", { class: "nothing" }, "The input can't be read") : draw(input, "Input"),
      ...answers,
      solution !== undefined && draw(solution, "Solution"),
    ),
    ...(further.length + (empty ? 1 : 0) === 0
      ? []
      : [
          element(
            "details",
            { open: further.some(({ grid }) => grid === solution) },
            element("summary", {}, `${further.length} further ${further.length === 1 ? "candidate" : "candidates"}`),
            element(
              "div",
              { class: "grids", style: "margin-top: 12px" },
              ...further.map((candidate) =>
                draw(candidate.grid, `Candidate ${candidates.indexOf(candidate) + 1}`, {
                  side: 120,
                  truth: solution,
                  said: [...votesOf(candidate, votes), ...comparison(candidate.grid, solution)],
                }),
              ),
              empty &&
                element("p", { class: "nothing" }, `${count(empty.votes)} ${empty.votes === 1 ? "vote" : "votes"} for no grid at all`),
            ),
          ),
        ]),
  ];
}

function votesOf({ votes, confidence, isEarlier }: TestReport["candidates"][number], all: number): HTMLElement[] {
  if (isEarlier)
    return [element("span", { class: "said" }, `from an earlier stage, ${count(votes)} ${votes === 1 ? "vote" : "votes"} there`)];
  const part = element("i");
  part.style.width = `${(100 * votes) / Math.max(1, all)}%`;
  return [
    element("span", { class: "votes", "aria-hidden": "true" }, part),
    element("span", { class: "said" }, `${count(votes)} of ${count(all)} votes (${percent(votes / Math.max(1, all))})`),
    element("span", { class: "said", title: "mean probability to halt, as the model sees it" }, `confidence ${confidence.toFixed(2)}`),
  ];
}

function comparison(grid: PackedGrid, solution: PackedGrid | undefined): HTMLElement[] {
  if (solution === undefined) return [];
  if (grid === solution) return [element("span", { class: "badge good" }, element("span", { "aria-hidden": "true" }, "✓"), "correct")];
  const differing = differingCells(grid, solution);
  const text =
    differing === undefined
      ? `wrong size: the solution is ${sizeText(solution)}`
      : `${count(differing)} ${differing === 1 ? "cell differs" : "cells differ"}`;
  return [element("span", { class: "badge bad" }, element("span", { "aria-hidden": "true" }, "✗"), text)];
}

/** A grid that is wider than the view is scrolled in its frame. */
function frame(canvas: HTMLCanvasElement): HTMLElement {
  return element("div", { class: "frame" }, canvas);
}
