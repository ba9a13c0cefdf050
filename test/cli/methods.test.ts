/** Methods of adaptation beside the full one, as real runs. */
import assert from "node:assert/strict";
import { join, resolve } from "node:path";
import { test } from "node:test";
import type { RunResult } from "../../src/adapt/request.ts";
import { loadCheckpoint } from "../../src/checkpoint/load.ts";
import { saveCheckpoint } from "../../src/checkpoint/save.ts";
import { listSnapshots } from "../../src/checkpoint/snapshots.ts";
import { loadTrainingState, type TrainingState } from "../../src/checkpoint/training-state.ts";
import { FIRST_CODE_ID, isCode } from "../../src/data/augmentation-codes.ts";
import { adapterSize } from "../../src/model/config.ts";
import { flattenParameters, parameterLayout } from "../../src/model/parameters.ts";
import { folder, lastLine, runArguments, SAMPLE, toyCheckpoint, trm } from "./toy.ts";

/** Runs a method. @returns what it printed, and the state that it left */
async function adapted(name: string, ...options: string[]): Promise<{ result: RunResult; state: TrainingState }> {
  const { args } = await runArguments(name, "60s");
  const runDir = join(folder, `${name}-run`);
  const ended = await trm(...args, "--run-dir", runDir, "--limit", "6", "--json", ...options);
  return { result: lastLine(ended) as unknown as RunResult, state: loadTrainingState(listSnapshots(join(runDir, "snapshot"))[0]!.folder)! };
}

test("run --method lora trains adapters and nothing else of the trunk", async () => {
  const { result, state } = await adapted("lora", "--method", "lora", "--lora-rank", "2", "--steps", "3", "--workers", "1");
  assert.equal(result.steps, 3);
  const { model } = loadCheckpoint(await toyCheckpoint()).config;
  for (const name of ["weights", "ema", "firstMoment", "secondMoment"])
    assert.equal(state.state.get(name)!.data.length, adapterSize(model, 2), name);
  assert.ok(state.state.get("firstMoment")!.data.some((value) => value !== 0));
});

test("run --method latent-search goes on from the start that is clearly better, on a trunk that stays", async () => {
  // The sample model knows rows about the mean alone: draws with thirty times their deviation mean nothing to it.
  const sample = loadCheckpoint(resolve("checkpoints/sample"));
  const { trunk, puzzleEmbedding } = sample;
  const { encoder: _, ...config } = sample.config;
  const checkpoint = join(folder, "scattered");
  const { mean, std } = puzzleEmbedding;
  saveCheckpoint(checkpoint, { config, trunk, puzzleEmbedding: { mean, std: std.map((value) => 30 * value) }, modelCard: "" });
  const options = ["--checkpoint", checkpoint, "--method", "latent-search", "--start", "normal", "--search-starts", "3", "--steps", "6"];
  const { result, state } = await adapted("search", ...options, "--search-share", "0.5", "--workers", "2", "--lr-puzzle", "0.01");
  const { step, starts, chosen, losses } = result.chosenStarts!;
  assert.deepEqual([step, starts], [3, ["normal", "mean", "normal"]]);
  assert.ok(losses.every((ofTask) => ofTask.every((loss) => loss !== null)));
  const better = losses.filter((ofTask) => Math.min(ofTask[0]!, ofTask[2]!) > ofTask[1]!).length;
  assert.ok(better >= 5, JSON.stringify(losses));
  assert.ok(chosen.filter((start) => start === 1).length === better, `${chosen}`);
  assert.deepEqual(state.record.chosenStarts, chosen);
  assert.equal(result.steps, 6);
  const weights = flattenParameters(trunk, parameterLayout(config.model));
  for (const name of ["weights", "ema"]) assert.deepEqual(state.state.get(name)!.data, weights, name);
  const ids = state.puzzles as number[];
  assert.ok(Math.max(...ids) <= 6 * 4, `rows of other starts are left: ${ids}`);
});

test("latent-search tries what the checkpoint's encoder makes of the demonstrations, too", async () => {
  const options = "--method latent-search --search-starts 3 --search-share 0.5 --steps 2 --workers 1".split(" ");
  const { result } = await adapted("search-encoded", "--checkpoint", resolve("checkpoints/sample"), ...options);
  assert.deepEqual(result.chosenStarts!.starts, ["mean", "encoder", "normal"]);
  // What an encoder that knows the kinds makes is nearer than the mean from the beginning.
  assert.ok(result.chosenStarts!.chosen.includes(1), `${result.chosenStarts!.chosen}`);
});

test("run --scratch leaves the checkpoint's weights out, and the rest of the course as it is", async () => {
  const { trunk, config } = loadCheckpoint(await toyCheckpoint());
  const trained = flattenParameters(trunk, parameterLayout(config.model));
  const away = async (name: string, ...options: string[]): Promise<number> => {
    const { state } = await adapted(name, "--steps", "1", "--workers", "1", ...options);
    const weights = state.state.get("weights")!.data;
    const length = (of: (i: number) => number): number => Math.sqrt(trained.reduce((sum, _, i) => sum + of(i) ** 2, 0));
    return length((i) => weights[i]! - trained[i]!) / length((i) => trained[i]!);
  };
  assert.ok((await away("from-checkpoint")) < 0.1);
  assert.ok((await away("from-scratch", "--scratch", "--seed", "7")) > 0.5); // the toy's own weights were drawn with another
});

test("--embedding factored: pre-training keeps codes in the checkpoint, an adaptation goes on from them with a row for each task", async () => {
  const checkpoint = join(folder, "factored");
  const shape = "--hidden-size 16 --num-heads 2 --batch-size 8 --canvas 8 --variants 5 --engine wasm --embedding factored --lr-puzzle 0.1";
  const lives = ["--row-visits", "6", "--row-slots", "10"];
  lastLine(await trm("pretrain", ...shape.split(" "), ...lives, "--tasks", SAMPLE, "--steps", "6", "--out", checkpoint, "--json"));
  const { codes } = loadCheckpoint(checkpoint).puzzleEmbedding;
  assert.ok(codes!.filter((value) => value !== 0).length > 20 * 16, "codes were trained");
  const options = ["--checkpoint", checkpoint, "--embedding", "factored", "--steps", "3", "--lr-puzzle", "1e-6", "--workers", "1"];
  const { state } = await adapted("factored-run", ...options);
  const ids = state.puzzles as number[];
  const rows = [...state.rows!.pieces()].flatMap((piece) => [...piece]);
  const codeIds = ids.filter(isCode);
  // Four variants a task, of which the first one's id is the task's.
  assert.ok(
    ids.every((id) => isCode(id) || (id % 4 === 1 && id < 24)),
    `rows of variants: ${ids}`,
  );
  assert.ok(codeIds.length > 10);
  for (const [place, id] of ids.entries()) {
    if (!isCode(id)) continue;
    const known = codes!.subarray(16 * (id - FIRST_CODE_ID), 16 * (id - FIRST_CODE_ID + 1));
    assert.ok(
      known.every((value, i) => Math.abs(rows[16 * place + i]! - value) < 1e-5),
      `code ${id}`,
    );
  }
});
