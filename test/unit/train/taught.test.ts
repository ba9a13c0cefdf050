/** Rows that train the halting head alone, on pairs that are held back from everything else. */
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { startEngine } from "../../../src/backend/select.ts";
import type { Example } from "../../../src/encode/batch.ts";
import type { Job } from "../../../src/parallel/job.ts";
import { dataOf, taughtRowsOf } from "../../../src/parallel/work-data.ts";
import { createRandom } from "../../../src/random.ts";
import { exampleAt, RATES, tinyReplica } from "./tiny-replica.ts";

before(() => startEngine("wasm"));

const TAUGHT = Uint8Array.from([0, 0, 1, 0, 0, 1]);
/** Of the rows that train the halting head alone: a row of the table that no other example has. */
const HELD = 77;
const exampleOf = (row: number): Example => (TAUGHT[row] ? { ...exampleAt(row), puzzleId: HELD } : exampleAt(row));
const answersOf = (examples: readonly Example[], shift: number): Example[] =>
  examples.map((example) => ({ ...example, labels: example.labels.map((label) => (label < 0 ? label : 2 + ((label - 2 + shift) % 10))) }));

test("what the true answer of such a row is changes nothing, as long as the model's is wrong; no puzzle row learns of it", async () => {
  const states = [];
  for (const shift of [0, 3]) {
    const replica = tinyReplica({ taught: TAUGHT });
    const before = replica.rows.embeddings([HELD], true).slice();
    const metrics = [];
    for (let step = 0; step < 4; step++)
      metrics.push(await replica.trainStep((row) => (TAUGHT[row] ? answersOf([exampleOf(row)], shift)[0]! : exampleOf(row)), RATES));
    assert.deepEqual(replica.rows.embeddings([HELD], true), before);
    assert.ok(!replica.rows.touched().includes(HELD));
    states.push({ metrics, trunk: await replica.trunk(), rows: replica.rows.touched().map((id) => [id, replica.rows.row(id).slice()]) });
    replica.dispose();
  }
  assert.deepEqual(states[0], states[1]);
});

test("the head learns from such rows when the answer is wrong, where the pairs trained on alone teach it to be sure", async () => {
  // The rule is to copy; of the pairs held back, though the inputs look alike, no answer is a copy.
  const copies = [...TAUGHT.keys()].map(
    (row): Example => ({ ...exampleAt(row), labels: exampleAt(row).inputs, puzzleId: TAUGHT[row] ? 1 : 0 }),
  );
  const held = answersOf(copies, 5);
  const surety = [];
  for (const taught of [TAUGHT, undefined]) {
    const replica = tinyReplica({ taught, haltMaxSteps: 1 });
    const next = (row: number): Example => (TAUGHT[row] ? (taught ? held[row]! : copies[0]!) : copies[row]!);
    let last = await replica.trainStep(next, RATES);
    for (let step = 0; step < 300; step++) last = await replica.trainStep(next, { ...RATES, lrTrunk: 3e-3 });
    const { qHaltLogits } = await replica.predict(copies, 1);
    const [known, unknown] = [0, 1].map((kind) => [...qHaltLogits].filter((_, row) => TAUGHT[row] === kind));
    assert.ok(
      known!.every((logit) => logit > 0),
      `pairs trained on: ${known}`,
    );
    surety.push(Math.max(...unknown!));
    if (taught) assert.deepEqual([last.taught!.finished, last.taught!.qHaltAccuracy, last.finished, last.exact], [2, 2, 4, 4]);
    else assert.equal(last.taught, undefined);
    replica.dispose();
  }
  assert.ok(surety[0]! < 0 && surety[0]! < surety[1]!, `logits of wrong answers: ${surety}`);
});

test("means are those of the other rows", async () => {
  const replica = tinyReplica({ taught: TAUGHT });
  const rows = [...TAUGHT.keys()];
  const { losses } = await replica.predict(rows.map(exampleOf), 1, true);
  const { lmLoss, taught } = await replica.trainStep(exampleOf, RATES);
  const mean = rows.reduce((sum, row) => sum + (TAUGHT[row] ? 0 : losses![row]!), 0) / 4;
  assert.ok(Math.abs(mean / lmLoss - 1) <= 1e-5, `${mean} and ${lmLoss}`);
  assert.ok(taught!.qHaltLoss > 0);
  replica.dispose();
});

test("a halting loss that is not finite stops the step", async () => {
  const replica = tinyReplica({ taught: TAUGHT });
  replica.rows.row(HELD).fill(Number.NaN);
  const { weights } = await replica.trunk();
  await assert.rejects(replica.trainStep(exampleOf, RATES), /loss is not finite in optimizer step 1/);
  assert.deepEqual((await replica.trunk()).weights, weights);
  replica.dispose();
});

const grid = (color: number) => ({ rows: 2, cols: 2, cells: new Uint8Array(4).fill(color) });
const pair = (color: number) => ({ input: grid(color), output: grid(color) });

test("one row in eight of each canvas draws pairs that are held back, where its tasks have any, and no other row does", () => {
  const task = (id: string, colors: readonly number[]) => ({ id, train: colors.map(pair), test: [{ input: grid(0) }] });
  const tasks = [task("a", [1, 2]), task("b", [3, 4])];
  const taught = [[pair(9)], []];
  const job = (more: Partial<Job> = {}): Job =>
    ({
      canvas: 3,
      globalBatch: 32,
      data: { kind: "tasks", tasks, variants: 0, translate: false, trainOnTests: false, taught },
      ...more,
    }) as unknown as Job;
  const rows = taughtRowsOf(job())!;
  assert.deepEqual(
    [...rows.keys()].filter((row) => rows[row]),
    [7, 15, 23, 31],
  );
  const countOf = (more: Partial<Job>): number => [...(taughtRowsOf(job(more)) ?? [])].reduce((a, b) => a + b, 0);
  assert.deepEqual(
    [3, 4, 7, 11, 12, 100, 384].map((globalBatch) => countOf({ globalBatch })),
    [0, 1, 1, 1, 2, 13, 48],
  );
  assert.equal(taughtRowsOf(job({ trainOn: [1] })), undefined);
  const apart = job({ canvas: 4, canvases: { sides: [3, 4], ofTask: [0, 1] } });
  const ofCanvases = taughtRowsOf(apart)!;
  assert.equal(
    ofCanvases.reduce((a, b) => a + b),
    2,
    "of 16 rows on the first canvas; the task on the other one has none",
  );
  assert.equal(countOf({ globalBatch: 10, canvas: 4, canvases: { sides: [3, 4], ofTask: [0, 1] } }), 1, "of 5 rows on the first canvas");
  for (const [each, mask] of [
    [job(), rows],
    [apart, ofCanvases],
  ] as const) {
    const { exampleAt: draw } = dataOf(each, createRandom(1), { startOf: () => () => {} });
    for (let index = 0; index < 20 * 32; index++) {
      const isHeld = draw(index).inputs[0] === 9 + 2;
      assert.equal(isHeld, mask[index % 32] === 1, `place ${index}`);
    }
  }
});
