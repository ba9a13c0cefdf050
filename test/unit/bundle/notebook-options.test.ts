import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { optionsFor, withOptions } from "../../../src/bundle/notebook-options.ts";

const NOTEBOOK = readFileSync("submission/notebook.ipynb", "utf8");

interface Notebook {
  readonly cells: readonly { source: string[] }[];
}

/** The words that a shell would take from the notebook's OPTIONS, and everything else in it. */
function optionsIn(text: string): { literal: string; rest: string } {
  const cells = (JSON.parse(text) as Notebook).cells.map(({ source }) => source.join("")).join("\n");
  const [line, literal] = /setting\("OPTIONS", ("(?:[^"\\]|\\.)*")\)/.exec(cells)!;
  return { literal: JSON.parse(literal!), rest: cells.replace(line, "") };
}

test("options take the place of those written in the notebook, quoted as a shell reads them; nothing else changes", () => {
  const options = ["--config", 'my "best" $& settings.json', "--task", "it's"];
  const { literal, rest } = optionsIn(withOptions(NOTEBOOK, options));
  assert.equal(literal, `--config 'my "best" $& settings.json' --task 'it'\\''s'`);
  assert.equal(rest, optionsIn(NOTEBOOK).rest);
  assert.equal(optionsIn(withOptions(NOTEBOOK, [])).literal, "");
  assert.throws(() => withOptions("{}", options), /don't hold/);
});

test("a checkpoint with settings of its own gets no preset in their place", () => {
  assert.deepEqual(optionsFor("checkpoints/small"), []);
  assert.equal(optionsFor("checkpoints/nowhere").join(" "), optionsIn(NOTEBOOK).literal);
});
