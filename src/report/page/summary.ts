/** What came of the run, in a few large numbers. */
import type { ReportData } from "../report-data.ts";
import { element } from "./element.ts";
import { voteShares } from "./histogram.ts";
import { count, duration, percent } from "./numbers.ts";
import { type Judged, VERDICTS, type Verdict } from "./verdict.ts";

export function summarySection({ summary, notes, state }: ReportData, judged: readonly Judged[]): HTMLElement {
  const { score, testInputs, answered, tasks, tasksChosen, steps, votes, workers, lost, engine, budgetSeconds, elapsedSeconds } = summary;
  const tiles: HTMLElement[] = [];
  if (score) {
    const second = score.solved - score.solvedFirst;
    const passes = score.passAtK.map(({ k, share }) => `pass@${k} ${percent(share)}`).join("  ·  ");
    const solved = tile("Test inputs solved with two attempts", [String(score.solved), ` of ${score.testInputs}`], passes, [
      ["good", score.solvedFirst / score.testInputs],
      ["half", second / score.testInputs],
    ]);
    solved.classList.add("lead");
    solved.title = `${score.solvedFirst} by the first attempt, ${second} by the second`;
    tiles.push(solved, tile("Tasks solved", [String(score.tasksSolved), ` of ${score.tasks}`], "every test input right"));
  }
  const left = tasks - tasksChosen;
  const without = testInputs - answered;
  tiles.push(
    tile("Tasks worked on", [count(tasksChosen)], left > 0 ? `${count(left)} left out or unreadable` : `${count(testInputs)} test inputs`),
    tile(
      "Inputs answered",
      [count(answered), ` of ${count(testInputs)}`],
      without > 0 ? `${count(without)} have fallbacks` : "by the model, all",
    ),
    tile("Optimizer steps", [count(steps)], `${count(votes)} votes`),
    tile("Time", [duration(elapsedSeconds)], budgetSeconds === undefined ? "" : `of ${duration(budgetSeconds)}`),
    tile("Workers", [String(workers)], lost > 0 ? `lost ${lost === 1 ? "once" : `${lost} times`}` : "none lost"),
  );
  return element(
    "div",
    {},
    ...(state === "broken-off" ? [element("p", { class: "notice bad" }, "The run has not ended in order; this is how far it came.")] : []),
    ...notes.map((note) => element("p", { class: "notice" }, note)),
    element("div", { class: "tiles" }, ...tiles),
    taskMap(judged),
    voteShares(judged),
    summary.voteWeights.length > 1 && voteWeights(summary),
    engine !== undefined && element("p", { class: "soft", style: "margin-top: 10px; font-size: 13.5px" }, engine),
  );
}

/** What the same votes would have solved, had each counted in another way. */
function voteWeights({ voteWeights: scores, voteWeight }: ReportData["summary"]): HTMLElement {
  const rows = scores.map((score) =>
    element(
      "tr",
      {},
      element("th", { scope: "row" }, score.name, score.name === voteWeight && element("span", { class: "soft" }, " (this run)")),
      element("td", {}, percent(score["pass@1"])),
      element("td", {}, percent(score["pass@2"])),
    ),
  );
  const head = ["A vote counts by", "pass@1", "pass@2"].map((name) => element("th", { scope: "col" }, name));
  return element(
    "details",
    { class: "vote-weights" },
    element("summary", {}, "The same votes, counted otherwise"),
    element(
      "div",
      { class: "card scroll", tabindex: 0, role: "group", "aria-label": "Scores by what a vote counts" },
      element("table", {}, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...rows)),
    ),
  );
}

/** A square a task, in the order of the file. The list of tasks says the same to those who don't see it. */
function taskMap(judged: readonly Judged[]): HTMLElement {
  const squares = judged.map(({ task, verdict }) => {
    const { text, kind } = VERDICTS[verdict];
    return element("a", { href: `#${encodeURIComponent(task.id)}`, class: kind, title: `${task.id}: ${text}`, tabindex: -1 });
  });
  const present = [...new Set(judged.map(({ verdict }) => verdict))];
  const order = Object.keys(VERDICTS) as Verdict[];
  const legend = order
    .filter((verdict) => present.includes(verdict))
    .map((verdict) => {
      const of = judged.filter((each) => each.verdict === verdict).length;
      return element(
        "span",
        {},
        element("i", { class: VERDICTS[verdict].kind, "aria-hidden": "true" }),
        `${VERDICTS[verdict].text} `,
        element("b", {}, count(of)),
      );
    });
  return element(
    "div",
    { class: "card map" },
    element("div", { class: "squares", "aria-hidden": "true" }, ...squares),
    element("p", { class: "legend" }, ...legend),
  );
}

/** A number with what it is, and a line below. */
export function tile(
  name: string,
  [large, small]: readonly [string, string?],
  below: string,
  meter: readonly (readonly [string, number])[] = [],
): HTMLElement {
  const bar = element("div", { class: "meter", "aria-hidden": "true" });
  for (const [kind, share] of meter) {
    const part = element("i", { class: kind });
    part.style.width = `${100 * share}%`;
    bar.append(part);
  }
  return element(
    "dl",
    { class: "tile" },
    element("dt", {}, name),
    element("dd", {}, large, small !== undefined && element("small", {}, small)),
    below !== "" && element("dd", { class: "sub" }, below),
    meter.length > 0 && element("dd", { style: "line-height: 0" }, bar),
  );
}
