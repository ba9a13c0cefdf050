import assert from "node:assert/strict";
import { test } from "node:test";
import { parseShard } from "../../../src/cli/run-options.ts";
import { UserError } from "../../../src/errors.ts";
import { missingShards, type NamedPart, type Part } from "../../../src/vote/parts.ts";

const part = (index: number, count: number, other: Partial<Part> = {}): NamedPart => ({
  where: `${index}.json`,
  part: {
    shard: { index, count, tasks: [] },
    configSha256: "c",
    checkpointSha256: "k",
    challengesSha256: "t",
    ended: true,
    ...other,
  },
});

test("shards without a part are found, by what the parts say or by what is expected", () => {
  assert.deepEqual(missingShards([part(2, 4), part(0, 4)]), [1, 3]);
  assert.deepEqual(missingShards([part(1, 2), part(0, 2)]), []);
  assert.deepEqual(missingShards([part(1, 3)], 3, "t"), [0, 2]);
  assert.deepEqual(missingShards([], 2), [0, 1]);
  assert.deepEqual(missingShards([{ where: "a", part: undefined }]), [], "files of any other kind are no shards");
});

test("parts that are there twice, foreign, or of another number of shards are refused, all of them named", () => {
  const refused = (files: NamedPart[], problems: string[], expect?: number, challenges?: string): void =>
    assert.throws(() => missingShards(files, expect, challenges), { problems });
  refused(
    [part(0, 3), { ...part(0, 3), where: "again.json" }, part(1, 3, { checkpointSha256: "x" }), part(2, 3, { configSha256: "x" })],
    [
      "again.json is shard 0 of 3, as 0.json is",
      "1.json is foreign: made with another checkpoint than 0.json",
      "2.json is foreign: made with other settings than 0.json",
    ],
  );
  refused([part(0, 3), part(1, 3, { challengesSha256: "x" })], ["1.json is foreign: of other tasks than 0.json"]);
  refused([part(0, 3), part(1, 4)], ["1.json is shard 1 of 4, 0.json is of 3"]);
  refused([part(0, 3)], ["0.json is shard 0 of 3, --expect says 4"], 4);
  refused([part(0, 1)], ["0.json is of other tasks than --challenges"], undefined, "u");
  refused(
    [{ where: "a", part: undefined }, part(0, 1)],
    ["a is no shard's candidate file, but 0.json is; merge the shards by themselves first"],
  );
  refused([{ where: "a", part: undefined }], ["a is no shard's candidate file (one of `run --shard`); --expect counts those"], 1);
});

test("a shard is given by its index, or by that of an array job's process", () => {
  assert.deepEqual(parseShard("0/4", {}), { index: 0, count: 4 });
  assert.deepEqual(parseShard("3/4", { SLURM_ARRAY_TASK_ID: "1" }), { index: 3, count: 4 });
  assert.deepEqual(parseShard("auto/4", { SLURM_ARRAY_TASK_ID: "2" }), { index: 2, count: 4 });
  assert.deepEqual(parseShard("auto/4", { JOB_COMPLETION_INDEX: "0" }), { index: 0, count: 4 });
  const refused = (text: string, environment: Record<string, string>, message: RegExp): void =>
    assert.throws(
      () => parseShard(text, environment),
      (error) => error instanceof UserError && message.test(error.message),
    );
  refused("4/4", {}, /^--shard 4\/4: the first of 4 shards is 0\/4, the last 3\/4$/);
  for (const text of ["4", "1/0", "-1/4", "a/4", "1/4/2", "1.5/4"])
    refused(text, {}, /expected index\/count from 0\/4 to 3\/4, or auto\/4/);
  refused("auto/4", {}, /neither SLURM_ARRAY_TASK_ID nor JOB_COMPLETION_INDEX is set; give an index/);
  refused("auto/4", { SLURM_ARRAY_TASK_ID: "4" }, /SLURM_ARRAY_TASK_ID is 4; expected 0 to 3 \(sbatch --array=0-3\)/);
});
