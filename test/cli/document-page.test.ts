/** The pages of a pre-training and of a comparison, in a real browser. */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { before, test } from "node:test";
import type { Page } from "playwright-core";
import { assertAccessible, open, withoutBrowser } from "./browser.ts";
import { folder, lastLine, put, SAMPLE, trm } from "./toy.ts";

const skip = withoutBrowser;
const training = join(folder, "training-run");
const comparison = join(folder, "<b>compared");
const NAMES = ["full", "embeddings", "<img src=x onerror='globalThis.hacked=1'>", "slow: a", "b", "c"];

/** A comparison as `compare` leaves it, of six arms with two seeds each. */
function putComparison(): void {
  const estimate = (mean: number) => ({ mean, standardError: 0.01, low: mean - 0.1, high: mean + 0.15 });
  const measures = (mean: number) => ({ "pass@1": estimate(mean), "pass@2": estimate(mean + 0.05), oracle: estimate(mean + 0.2) });
  const arms = NAMES.map((name, i) => ({
    name,
    options: ["--method", "full"],
    seeds: ["0", "1"],
    measures: measures(0.5 - i / 20),
    ...(i > 0 && { differences: measures(-i / 20) }),
    steps: 100,
    seconds: 61,
  }));
  mkdirSync(comparison);
  writeFileSync(join(comparison, "comparison.json"), JSON.stringify({ tasks: 20, arms, runs: { made: 12, planned: 18 } }));
  for (const [i, name] of NAMES.entries())
    for (const seed of [0, 1]) {
      const at = join(comparison, `${i}-${name.replace(/[^\w.-]+/g, "-").slice(0, 40)}`, `seed-${seed}`);
      mkdirSync(at, { recursive: true });
      const curve = [0, 30, 60].map((seconds) => ({ step: seconds, seconds, score: { "pass@2PerTask": seconds / 100 - seed / 20 } }));
      writeFileSync(join(at, "result.json"), JSON.stringify({ key: "", result: { curve } }));
      const lines = [1, 50, 100].map((step) => JSON.stringify({ step, time: 1, "train/lm loss": 2 - step / 100 + seed / 4 }));
      writeFileSync(join(at, "metrics.jsonl"), lines.join("\n"));
    }
}

before(async () => {
  putComparison();
  const options =
    "--steps 24 --batch-size 4 --hidden-size 16 --num-heads 2 --canvas 10 --variants 1 --generated-share 0 --halt-max-steps 1 --engine wasm";
  const evaluate = "--evaluate-every 12 --evaluation-pairs 4 --row-slots 8 --row-visits 2".split(" ");
  const files = ["--tasks", SAMPLE, "--out", join(folder, "trained"), "--run-dir", training];
  const { status, stderr } = await trm("pretrain", ...options.split(" "), ...evaluate, ...files);
  assert.equal(status, 0, stderr);
  assert.ok(existsSync(join(training, "report.html")), "the page is there at the end");
  const { kind, state } = lastLine(await trm("report", comparison, "--json"));
  assert.deepEqual([kind, state], ["comparison", "broken-off"]);
});

const titles = (page: Page): Promise<string[]> => page.$$eval(".chart h3", (all) => all.map((title) => title.firstChild!.textContent!));
const tiles = (page: Page): Promise<Record<string, string>> =>
  page.$$eval(".tile", (all) =>
    Object.fromEntries(all.map((tile) => [tile.querySelector("dt")!.textContent!, tile.querySelector("dd")!.textContent!])),
  );

test("the page of a pre-training shows its curves, how far it has come and every task, and asks for nothing", { skip }, async () => {
  const { page, complaints, requests } = await open(join(training, "report.html"));
  assert.equal(await page.title(), "training-run: trm pretrain");
  assert.equal(await page.$eval(".badge", (badge) => badge.textContent), "finished");
  assert.equal((await tiles(page))["Optimizer steps"], "24");
  for (const title of ["Loss", "Right in training", "Right in evaluations", "Cosine of puzzle rows", "L_level.layers.0.mlp"])
    assert.ok((await titles(page)).includes(title), `${title} among ${await titles(page)}`);
  const ids = Object.keys(JSON.parse(readFileSync(SAMPLE, "utf8")) as object);
  const rows = await page.$$eval("section[aria-labelledby='part-2'] tbody th", (all) => all.map((cell) => cell.textContent!));
  assert.ok(rows.length > 0 && rows.every((id) => ids.includes(id)), rows.join());
  await page.focus(".chart .plot");
  await page.keyboard.press("Home");
  assert.match(await page.$eval(".chart [aria-live]", (said) => said.textContent!), /^step \d+: token loss [\d.]+/);
  assert.deepEqual([complaints, requests.filter((address) => !address.startsWith("data:"))], [[], []]);
});

test("the page of a comparison shows scores with their intervals and mean curves within their seeds; names of arms are text", {
  skip,
}, async () => {
  const { page, complaints } = await open(join(comparison, "report.html"));
  assert.equal(await page.title(), "<b>compared: trm compare");
  const numbers = await tiles(page);
  assert.deepEqual([numbers["Best by pass@2"], numbers.Arms, numbers.Runs, numbers.Tasks], ["55.0 %", "6", "12 of 18", "20"]);
  const [scores, differences] = await page.$$eval(".intervals", (all) => all.map((each) => each.getAttribute("aria-label")!));
  assert.match(scores!, /^full: pass@1 50\.0 %, from 40\.0 % to 65\.0 %; pass@2 55\.0 %/);
  assert.match(differences!, /^embeddings: pass@1 -5\.0 %/);
  assert.deepEqual(await page.$$eval(".intervals", (all) => all.map((each) => each.querySelectorAll("circle").length)), [18, 15]);
  assert.deepEqual(await titles(page), ["pass@2 over time", "Token loss"]);
  const [loss] = (await page.$$(".charts .chart")).slice(1);
  assert.equal(await loss!.$$eval("polygon", (bands) => bands.length), 6, "a band for each arm");
  assert.equal(await loss!.$$eval("polyline[stroke-dasharray]", (lines) => lines.length), 3, "the same three colours, dashed");
  await (await loss!.$(".plot"))!.focus();
  await page.keyboard.press("Home");
  assert.match(await loss!.$eval("[aria-live]", (said) => said.textContent!), /^step 1: full 2\.1[0-9]*, /); // 1.99 and 2.24
  assert.equal(await page.evaluate("globalThis.hacked"), undefined);
  assert.deepEqual(complaints, []);
});

test("axe finds nothing to object to on either page, light and dark; nothing is wider than the screen", { skip }, async () => {
  for (const [i, target] of [training, comparison].entries())
    for (const width of [390, 1280]) {
      const { page } = await open(join(target, "report.html"), { width, dark: (width === 390) === (i === 0) });
      await page.$$eval("details", (all) => {
        for (const each of all) each.open = true;
      });
      await assertAccessible(page, `${target}, ${width} wide`);
      assert.ok(await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), `${target}, ${width} wide`);
      const theme = await page.$eval("html", (html) => html.dataset.theme);
      await page.keyboard.press("t");
      assert.notEqual(await page.$eval("html", (html) => html.dataset.theme), theme);
    }
});

test("a comparison that can't be read, and solutions for a page without answers, are told", async () => {
  const damaged = put("damaged/comparison.json", "{}");
  const refused = await trm("report", join(damaged, ".."));
  assert.equal(refused.status, 1);
  assert.match(refused.stderr, /comparison\.json: is not the outcome of a comparison: it has no arms/);
  assert.match((await trm("report", training, "--solutions", SAMPLE)).stderr, /--solutions: .*training-run is the folder of a training/);
});
