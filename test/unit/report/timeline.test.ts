import assert from "node:assert/strict";
import { test } from "node:test";
import { parseRunEvents } from "../../../src/report/run-events.ts";
import { timelineOf } from "../../../src/report/timeline.ts";

/** Lines of a log: second, event, fields; level 30 unless given. */
function log(...events: [number, string, Record<string, unknown>?][]): string {
  return events
    .map(([seconds, event, fields]) => `${JSON.stringify({ level: 30, event, seconds, time: "", text: event, ...fields })}\n`)
    .join("");
}

const UNDISTURBED = log(
  [0.3, "begins"],
  [2, "ready"],
  [2, "phase", { phase: "measure" }],
  [3, "plan", { trainSeconds: 80, predictSeconds: 10, rounds: 4, note: "text" }],
  [3, "phase", { phase: "train" }],
  [80, "phase", { phase: "predict" }],
  [95, "ended"],
);

test("phases follow each other from the start to the end, the plan beside them", () => {
  const { phases, plans, workers } = timelineOf(parseRunEvents(UNDISTURBED), 96, 2);
  assert.deepEqual(phases, [
    { name: "load", from: 0, to: 2 },
    { name: "measure", from: 2, to: 3 },
    { name: "train", from: 3, to: 80 },
    { name: "predict", from: 80, to: 95 },
  ]);
  assert.deepEqual(plans, [
    {
      at: 3,
      phases: [
        { name: "train", from: 3, to: 83 },
        { name: "predict", from: 83, to: 93 },
      ],
      numbers: { trainSeconds: 80, predictSeconds: 10, rounds: 4 },
    },
  ]);
  assert.deepEqual(
    workers.map(({ rank, spans }) => ({ rank, spans })),
    [0, 1].map((rank) => ({ rank, spans: [{ name: "there", from: 2, to: 95 }] })),
  );
});

test("a worker that is lost is away until it has taken up its place; one that is left out stays away", () => {
  const events = log(
    [0, "begins"],
    [2, "ready"],
    [10, "progress", { rssBytes: [50, 70] }],
    [20, "lost", { rank: 1, again: true, level: 50 }],
    [23, "restored", { ranks: [0, 1] }],
    [30, "progress", { rssBytes: [60, 65] }],
    [40, "lost", { rank: 0, again: false, level: 50 }],
    [60, "ended"],
  );
  const { workers, troubles } = timelineOf(parseRunEvents(events), 60, 0);
  const span = (from: number, to: number): object => ({ name: "there", from, to });
  assert.deepEqual(
    workers.map(({ spans, losses, peakBytes }) => ({ spans, losses: losses.map(({ at, again }) => [at, again]), peakBytes })),
    [
      { spans: [span(2, 40)], losses: [[40, false]], peakBytes: 60 },
      { spans: [span(2, 20), span(23, 60)], losses: [[20, true]], peakBytes: 70 },
    ],
  );
  assert.deepEqual(
    troubles.map(({ at, level }) => [at, level]),
    [
      [20, "error"],
      [40, "error"],
    ],
  );
});

test("a run that was killed and taken up again has a gap between its processes; one under way goes on to now", () => {
  const events = log(
    [0, "begins"],
    [2, "ready"],
    [2, "phase", { phase: "train" }],
    [10, "progress"],
    [25, "goes-on"],
    [27, "ready"],
    [27, "phase", { phase: "train" }],
  );
  const { phases, resumed, workers } = timelineOf(parseRunEvents(events), 40, 1);
  assert.deepEqual(
    phases.map(({ name, from, to }) => [name, from, to]),
    [
      ["load", 0, 2],
      ["train", 2, 10],
      ["load", 25, 27],
      ["train", 27, 40],
    ],
  );
  assert.deepEqual(resumed, [25]);
  assert.deepEqual(
    workers[0]!.spans.map(({ from, to }) => [from, to]),
    [
      [2, 10],
      [27, 40],
    ],
  );
});

test("a log holds the run that began last; cut-off and foreign lines are passed over", () => {
  const text = `${log([0, "begins"], [5, "lost", { rank: 7 }])}${UNDISTURBED}nonsense\nnull\n[1]\n{"event":"x"}\n{"level":30,"event":"ended","seco`;
  assert.deepEqual(
    parseRunEvents(text).map(({ event }) => event),
    ["begins", "ready", "phase", "plan", "phase", "phase", "ended"],
  );
});
