import assert from "node:assert/strict";
import { test } from "node:test";
import { stagesOf } from "../../../src/pretrain/model-card.ts";

test("a checkpoint's stages are those before it and its own, the first stage first", () => {
  const first = stagesOf({ recipe: "small", dataSets: [], steps: 10, hours: 2, command: "trm pretrain --recipe small", seed: "1" });
  assert.deepEqual(first, [{ recipe: "small", steps: 10, hours: 2, command: "trm pretrain --recipe small" }]);
  const second = stagesOf({ earlier: first, recipe: "", steps: 5, hours: 1, command: "trm pretrain --from a" });
  assert.deepEqual(second, [...first, { recipe: undefined, steps: 5, hours: 1, command: "trm pretrain --from a" }]);
  assert.equal(stagesOf({ steps: 3 })[0]!.hours, undefined, "a converted checkpoint says nothing of hours");
});
