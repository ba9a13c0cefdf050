import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { bestStart, scoringItems } from "../../../src/adapt/latent-search.ts";
import { searchStartsOf } from "../../../src/adapt/methods.ts";
import { gridFromRows } from "../../../src/arc/grid.ts";
import type { Task } from "../../../src/arc/task.ts";
import { saveCheckpoint } from "../../../src/checkpoint/save.ts";
import type { Tensor } from "../../../src/checkpoint/shapes.ts";
import { loadTrainingState } from "../../../src/checkpoint/training-state.ts";
import { planPuzzles, variantPair } from "../../../src/data/build.ts";
import { competitors, heldBackPair } from "../../../src/data/competitors.ts";
import { initTrunk } from "../../../src/model/init.ts";
import { nameFlat, parameterLayout } from "../../../src/model/parameters.ts";
import { PuzzleEmbedding } from "../../../src/model/puzzle-embedding.ts";
import { ADAM_ATAN2_DEFAULTS } from "../../../src/optim/adam-atan2.ts";
import { Competition } from "../../../src/parallel/competition.ts";
import type { Formation, Job, Report } from "../../../src/parallel/job.ts";
import { Work } from "../../../src/parallel/work.ts";
import { createRandom } from "../../../src/random.ts";
import { TINY } from "../train/tiny-replica.ts";

const taskOf = (id: string, pairs: number): Task => ({
  id,
  train: Array.from({ length: pairs }, (_, i) => ({ input: gridFromRows([[i + 1, 0, 2]]), output: gridFromRows([[i + 1]]) })),
  test: [{ input: gridFromRows([[7, 0, 2]]) }],
});
const TASKS = [taskOf("a", 3), taskOf("b", 1), taskOf("c", 2)];
const plan = planPuzzles([{ tasks: TASKS, trainOnTests: false }], { variants: 5, random: createRandom("plan") });
const OPTIONS = { groups: plan.groups, side: 3, translate: false, random: createRandom("stream") };

/** Starts that say what they were asked for: [kind, id]. */
const points = [0, 1, 2].map((kind) => ({ start: (id: number, out: Float32Array) => out.set([kind, id]), ofTask: kind === 2 }));

test("a row that competes never sees the demonstration it is scored by; a task's only one is trained on", () => {
  const rivals = competitors(plan.groups, 3, plan.puzzleCount);
  assert.equal(rivals.length, 3 * 2 * 3);
  assert.equal(new Set(rivals.map(({ firstPuzzleId }) => firstPuzzleId)).size, rivals.length);
  for (const { task, test: tests, variant, testIndex, trained, start } of scoringItems([3, 1, 2], 3).map((item) => ({
    ...item,
    test: TASKS[item.task]!.test,
  }))) {
    assert.ok(trained && tests.length === 1 && testIndex === heldBackPair(TASKS[task]!.train.length, variant));
    const { firstPuzzleId } = plan.groups[task]!;
    const rival = rivals.find((group) => group.firstPuzzleId === firstPuzzleId + variant + start! * plan.puzzleCount)!;
    const seen = rival.train.includes(TASKS[task]!.train[testIndex]!);
    assert.equal(seen, TASKS[task]!.train.length === 1);
    assert.deepEqual(variantPair(rival, 0, TASKS[task]!.train[0]!), variantPair(plan.groups[task]!, variant, TASKS[task]!.train[0]!));
  }
});

test("rows begin at their own start while they compete, later at the one of their task; a draw is the task's, not the variant's", () => {
  const competition = new Competition(plan, points, OPTIONS);
  const rows = new PuzzleEmbedding(2, competition.rowStart);
  const { puzzleCount } = plan;
  const [first, , third] = plan.groups.map(({ firstPuzzleId }) => firstPuzzleId) as [number, number, number];
  assert.deepEqual([...rows.row(first + 1)], [0, first + 1]);
  assert.deepEqual([...rows.row(first + 1 + puzzleCount)], [1, first + 1]);
  const draw = [2, first + 2 * puzzleCount];
  assert.deepEqual([...rows.row(first + 1 + 2 * puzzleCount)], draw);
  rows.row(first + 1 + 2 * puzzleCount).set([5, 5]); // trained
  rows.row(third + puzzleCount).set([6, 6]);
  competition.choose([2, 0, 0], rows);
  assert.deepEqual(rows.touched(), [first + 1], "the others are gone");
  assert.deepEqual([...rows.row(first + 1)], [5, 5], "the chosen row goes on");
  assert.deepEqual([...rows.row(first)], draw, "a variant that did not compete begins where the chosen one did");
  assert.deepEqual([...rows.row(third)], [0, third]);
});

test("the start of least loss is chosen, of equal ones the first; of a task without any score the first", () => {
  assert.equal(bestStart([0.5, 0.2, 0.2]), 1);
  assert.equal(bestStart([0.1, 0.2, null]), 0);
  assert.equal(bestStart([null, null, 9]), 2);
  assert.equal(bestStart([null, null]), 0);
});

test("a search begins with the start that was asked for, tries what the checkpoint offers, and draws the rest", () => {
  const of = (start: "mean" | "normal", searchStarts: number) => searchStartsOf({ method: "latent-search", start, searchStarts }, ["mean"]);
  assert.deepEqual(of("mean", 3), ["mean", "normal", "normal"]);
  assert.deepEqual(of("normal", 3), ["normal", "mean", "normal"]);
  const withEncoder = searchStartsOf({ method: "latent-search", start: "mean", searchStarts: 4 }, ["mean", "encoder"]);
  assert.deepEqual(withEncoder, ["mean", "encoder", "normal", "normal"]);
  assert.deepEqual(searchStartsOf({ method: "embeddings", start: "mean", searchStarts: 3 }, ["mean"]), []);
});

const ALONE: Formation = { rank: 0, worldSize: 1, restore: [], rateScale: 1 };

test("a worker that comes back from a state of the competition is told what was chosen and comes to the same rows; the trunk never moves", async () => {
  const folder = mkdtempSync(join(tmpdir(), "trm-competition-"));
  try {
    const { weights, hInit, lInit } = initTrunk(TINY, createRandom("trunk"));
    const states = Object.entries({ H_init: hInit, L_init: lInit }).map(([name, data]): [string, Tensor] => [name, { shape: [16], data }]);
    saveCheckpoint(join(folder, "checkpoint"), {
      config: { format: "trm", formatVersion: 1, model: TINY, canvas: 3, training: { recipe: "", dataSets: [], steps: 0 } },
      trunk: new Map<string, Tensor>([...states, ...nameFlat(weights, parameterLayout(TINY))]),
      puzzleEmbedding: { mean: new Float32Array(16).fill(0.1), std: new Float32Array(16).fill(0.5) },
      modelCard: "",
    });
    const job: Job = {
      engine: "wasm",
      compilation: { compile: "off", precision: "float32" },
      seed: 3,
      model: TINY,
      canvas: 3,
      fullCanvas: 3,
      trunk: { kind: "checkpoint", folder: join(folder, "checkpoint") },
      start: "mean",
      search: { starts: ["mean", "normal", "normal"] },
      data: { kind: "tasks", tasks: TASKS, variants: 3, translate: false, trainOnTests: false },
      globalBatch: 8,
      microBatch: 8,
      recompute: false,
      adam: ADAM_ATAN2_DEFAULTS,
      puzzleWeightDecay: 0.1,
      explorationProbability: 0.1,
      course: { lrTrunk: 0.1, lrPuzzle: 0.01, warmupSteps: 0, lrMinRatio: 1, emaDecay: 0.9, emaWarmup: false, frozenShare: 1 },
    };
    const begin = async () => {
      const reports: Report[] = [];
      const pulse = { beat: () => {}, waitForPeers: <T>(wait: () => Promise<T>) => wait() };
      return { reports, work: await Work.begin(job, (report) => reports.push(report), pulse) };
    };
    const until = { deadline: Number.POSITIVE_INFINITY, finalDeadline: Number.POSITIVE_INFINITY };
    const snapshot = async (work: Work, name: string) => {
      await work.obey({ kind: "snapshot", folder: join(folder, name) });
      const at = join(folder, name, "a");
      const { state, rows, puzzles, record } = loadTrainingState(at)!;
      const values = [...rows!.pieces()].flatMap((piece) => [...piece]);
      const byId = (puzzles as number[]).map((id, row): [number, number[]] => [id, values.slice(16 * row, 16 * (row + 1))]);
      return { at, record, rows: new Map(byId), trunk: state.get("weights")!.data, average: state.get("ema")!.data };
    };
    const [first, second] = [await begin(), await begin()];
    await first.work.obey({ kind: "form", ...ALONE });
    await first.work.obey({ kind: "train", until: { ...until, maxSteps: 6 } });
    const competing = await snapshot(first.work, "competing");
    const { puzzleCount } = planPuzzles([{ tasks: TASKS, trainOnTests: false }], { variants: 3, random: createRandom(3).fork("plan") });
    assert.ok(
      [...competing.rows.keys()].some((id) => id > 2 * puzzleCount),
      "rows of every start were trained",
    );
    const chosenStarts = [1, 0, 2];
    await first.work.obey({ kind: "choose", chosenStarts });
    const chosen = await snapshot(first.work, "chosen");
    assert.ok([...chosen.rows.keys()].every((id) => id < puzzleCount));
    assert.deepEqual(chosen.record.chosenStarts, chosenStarts);
    for (const [id, row] of chosen.rows) {
      const task = plan.groups.length - 1 - [...TASKS.keys()].reverse().findIndex((place) => id >= 1 + 4 * place);
      assert.deepEqual(row, competing.rows.get(id + chosenStarts[task]! * puzzleCount));
    }
    await second.work.obey({ kind: "form", ...ALONE, restore: [competing.at], chosenStarts });
    assert.deepEqual((await snapshot(second.work, "told")).rows, chosen.rows);
    for (const { work } of [first, second]) await work.obey({ kind: "train", until: { ...until, maxSteps: 10 } });
    const [one, two] = [await snapshot(first.work, "one"), await snapshot(second.work, "two")];
    assert.deepEqual(two.rows, one.rows);
    assert.ok(
      [...one.rows.keys()].every((id) => id < puzzleCount),
      "nothing competes any more",
    );
    const third = await begin();
    await third.work.obey({ kind: "form", ...ALONE, restore: [chosen.at], chosenStarts: [0, 0, 0] });
    const again = await snapshot(third.work, "again");
    assert.deepEqual([again.rows, again.record.chosenStarts], [chosen.rows, chosenStarts], "what a state has chosen stands");
    for (const { trunk, average } of [competing, chosen, one]) {
      assert.deepEqual(trunk, weights);
      assert.deepEqual(average, weights);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});
