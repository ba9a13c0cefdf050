import assert from "node:assert/strict";
import { test } from "node:test";
import { type LiveState, liveView } from "../../src/adapt/live-view.ts";
import { LiveBlock } from "../../src/live-block.ts";

/** What a terminal shows after a text: it knows new lines, CPL and ED. */
function screen(
  columns: number,
  rows: number,
): { write(text: string): void; readonly columns: number; readonly rows: number; lines(): string[] } {
  const lines: string[] = [""];
  let at = 0;
  return {
    columns,
    rows,
    write(text) {
      for (const [, up, clear, plain] of text.replaceAll("\u001b", "␛").matchAll(/␛\[(\d+)F|(␛\[0J)|([^␛]+)/g)) {
        if (up !== undefined) at -= Number(up);
        else if (clear !== undefined) lines.splice(at, lines.length, "");
        else
          for (const [i, part] of plain!.split("\n").entries()) {
            if (i > 0 && ++at === lines.length) lines.push("");
            lines[at] += part;
            assert.ok(lines[at]!.length < columns, `${lines[at]} would be wrapped`);
          }
      }
    },
    lines: () => lines.slice(0, -1),
  };
}

test("the block stays at the foot while lines are printed above it, and leaves nothing behind", () => {
  const terminal = screen(20, 10);
  const block = new LiveBlock(terminal);
  block.print("begins");
  block.show(["one", "two"]);
  block.print("warning");
  assert.deepEqual(terminal.lines(), ["begins", "warning", "one", "two"]);
  block.show(["three"]);
  block.print("more");
  assert.deepEqual(terminal.lines(), ["begins", "warning", "more", "three"]);
  block.show([]);
  block.print("ends");
  assert.deepEqual(terminal.lines(), ["begins", "warning", "more", "ends"]);
});

test("what does not fit the terminal is cut, never wrapped: a wrapped line would not be taken away", () => {
  const terminal = screen(12, 5);
  const block = new LiveBlock(terminal);
  block.show(Array.from({ length: 9 }, (_, i) => `${i} ${"x".repeat(30)}`));
  assert.deepEqual(terminal.lines(), ["0 xxxxxxxxx", "1 xxxxxxxxx", "2 xxxxxxxxx"]);
  block.show([]);
  assert.deepEqual(terminal.lines(), []);
});

const STATE: LiveState = {
  now: 40,
  budgetSeconds: 85,
  phase: "train",
  phaseBegan: 10,
  phaseEnds: 70,
  coming: [["predict", 12]],
  told: "step 12/40   loss 0.5",
  votes: 22,
  workers: [
    { step: 12, stepSeconds: 0.5, rssBytes: 2 ** 28, heardAgo: 0.1 },
    { step: 11, stepSeconds: 0.5, rssBytes: 2 ** 27, heardAgo: 9 },
    { step: 0, stepSeconds: 0, rssBytes: 0, heardAgo: undefined },
  ],
};

test("the view tells the phase against its plan, votes, and each worker; one that says nothing is told as such", () => {
  const [phase, told, then, ...workers] = liveView(STATE).map((line) => line.trim());
  assert.equal(phase, "train    [##########..........] 30s of 1m planned, 30s left");
  assert.equal(told, "step 12/40   loss 0.5   votes 22");
  assert.equal(then, "run: 40s of 1m25s, then predict 12s");
  assert.deepEqual(workers, [
    "worker 0  step 12   2.00 steps/s   256 MiB",
    "worker 1  step 11   2.00 steps/s   128 MiB   last heard of 9s ago",
    "worker 2  not heard of yet",
  ]);
  assert.doesNotMatch(liveView({ ...STATE, coming: [] }).join("\n"), /then/);
  assert.match(liveView({ ...STATE, now: 75 })[0]!, /\[#{20}\] 1m5s of 1m planned, 5s over its plan/);
  const long = { ...STATE, phase: "predict", budgetSeconds: 41_400, phaseBegan: 0, phaseEnds: 40_199, now: 36_661 };
  assert.ok(liveView(long)[0]!.length < 80, "a line is cut at the terminal's width");
  const many = liveView({ ...STATE, workers: new Array(64).fill(STATE.workers[0]) });
  assert.equal(many.length, 12);
  assert.match(many.at(-1)!, /and 56 more workers/);
});
