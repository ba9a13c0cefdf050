/** How sure the votes are: test inputs by the share of votes that their first answer has. */
import { element } from "./element.ts";
import { count } from "./numbers.ts";
import { type Judged, leadingShare } from "./verdict.ts";

const BINS = 10;
/** Percent of the height that the tallest bar takes; its number stands above. */
const TALLEST = 84;

/** Test inputs of one bin. */
interface Bin {
  good: number;
  bad: number;
  unknown: number;
}

/** @returns undefined where no test input has a vote */
export function voteShares(judged: readonly Judged[]): HTMLElement | undefined {
  const bins = Array.from({ length: BINS }, (): Bin => ({ good: 0, bad: 0, unknown: 0 }));
  const tests = judged.flatMap(({ task }) => (task.state === "worked-on" ? task.test : [])).filter((test) => leadingShare(test) > 0);
  if (tests.length === 0) return undefined;
  for (const test of tests) {
    const bin = bins[Math.min(BINS - 1, Math.floor(BINS * leadingShare(test)))]!;
    if (test.solution === undefined) bin.unknown++;
    else if (test.candidates[0]!.grid === test.solution) bin.good++;
    else bin.bad++;
  }
  const sumOf = ({ good, bad, unknown }: Bin): number => good + bad + unknown;
  const most = Math.max(...bins.map(sumOf));
  const isKnown = tests.some(({ solution }) => solution !== undefined);
  const inWords = (bin: Bin, i: number): string => {
    const right = isKnown ? `, first answer right in ${count(bin.good)}` : "";
    return `${10 * i} to ${10 * (i + 1)} %: ${count(sumOf(bin))} ${sumOf(bin) === 1 ? "test input" : "test inputs"}${right}`;
  };
  const bars = bins.map((bin, i) => {
    const bar = element("div", { title: inWords(bin, i) });
    for (const kind of ["good", "bad", "unknown"] as const) {
      const part = element("i", { class: kind });
      part.style.height = `${(TALLEST * bin[kind]) / most}%`;
      bar.append(part);
    }
    if (sumOf(bin) > 0) bar.append(element("span", {}, count(sumOf(bin))));
    return bar;
  });
  const said = bins.flatMap((bin, i) => (sumOf(bin) > 0 ? [inWords(bin, i)] : [])).join("; ");
  const legend = [
    ["good", "first answer right", bins.reduce((sum, { good }) => sum + good, 0)],
    ["bad", "first answer wrong", bins.reduce((sum, { bad }) => sum + bad, 0)],
  ] as const;
  return element(
    "div",
    { class: "card map" },
    element("p", { class: "caption" }, "Test inputs by the share of their votes that the first answer has"),
    element(
      "div",
      { class: "histogram", role: "img", "aria-label": `Test inputs by the share of votes of their first answer. ${said}` },
      ...bars,
    ),
    element("p", { class: "histogram-ticks", "aria-hidden": "true" }, ...["0 %", "50 %", "100 %"].map((text) => element("span", {}, text))),
    isKnown &&
      element(
        "p",
        { class: "legend" },
        ...legend.map(([kind, text, tests]) =>
          element("span", {}, element("i", { class: kind, "aria-hidden": "true" }), `${text} `, element("b", {}, count(tests))),
        ),
      ),
  );
}
