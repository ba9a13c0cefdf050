/** A run that is followed: served to this machine alone, to those who know the token, and kept up to date. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { after, test } from "node:test";
import { gunzipSync } from "node:zlib";
import type { ReportData } from "../../src/report/report-data.ts";
import { open, withoutBrowser } from "./browser.ts";
import { folder, type Running, runArguments, start, trm } from "./toy.ts";

interface Answer {
  readonly status: number;
  readonly body: Buffer;
  readonly headers: Record<string, unknown>;
}

const started: Running[] = [];
after(async () => {
  for (const { child } of started) child.kill("SIGTERM");
  await Promise.all(started.map(({ ended }) => ended));
});

/** A run under way that nobody ends before these tests are over, and the server of its page. */
const following = (async () => {
  const { args } = await runArguments("followed", "900s");
  const run = join(folder, "followed-run");
  const running = start(...args, "--run-dir", run, "--steps", "1000000", "--workers", "1");
  started.push(running);
  await running.said(/step \d/);
  const server = start("report", run, "--follow", "--json");
  started.push(server);
  const url = await new Promise<string>((resolve) => {
    server.child.stdout!.once("data", (text: string) => resolve((JSON.parse(text) as { url: string }).url));
  });
  return { run, server, url: new URL(url) };
})();

function ask(
  url: URL,
  {
    path = url.pathname + url.search,
    host = url.host,
    method = "GET",
    tag,
  }: { path?: string; host?: string; method?: string; tag?: string } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const headers = { host, ...(tag !== undefined && { "if-none-match": tag }) };
    request({ hostname: url.hostname, port: url.port, path, method, headers, agent: false }, (response) => {
      const parts: Buffer[] = [];
      response.on("data", (part: Buffer) => parts.push(part));
      response.on("end", () => resolve({ status: response.statusCode!, body: Buffer.concat(parts), headers: response.headers }));
    })
      .on("error", reject)
      .end();
  });
}

/** Seconds of processor time that a process has used. */
function processorSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]!.split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

const dataOf = ({ body }: Answer): ReportData => JSON.parse(gunzipSync(body).toString()) as ReportData;

test("the page goes to those who have its token and have called this machine by its own name", async () => {
  const { url } = await following;
  assert.equal(url.hostname, "127.0.0.1");
  const token = url.searchParams.get("token")!;
  assert.ok(token.length >= 32);
  const good = await ask(url);
  assert.equal(good.status, 200);
  assert.match(gunzipSync(good.body).toString(), /^<!doctype html>\n<html lang="en" data-follow>/);
  assert.equal(good.headers["access-control-allow-origin"], undefined);
  assert.equal((await ask(url, { host: `localhost:${url.port}` })).status, 200);
  for (const path of [
    "/",
    "/data",
    "//",
    "http://[",
    "*",
    "/?token=",
    `/?token=${token.slice(0, -1)}`,
    `/?token=${token}x`,
    `/data?Token=${token}`,
  ]) {
    const { status, body } = await ask(url, { path });
    assert.equal(status, 403, path);
    assert.match(body.toString(), /token/);
  }
  for (const host of ["evil.example", `evil.example:${url.port}`, "127.0.0.1", `127.0.0.1.evil.example:${url.port}`, `[::1]:${url.port}`])
    assert.equal((await ask(url, { host })).status, 403, host);
  assert.equal((await ask(url, { method: "POST" })).status, 405);
  for (const path of ["/../config.json", "/config.json", "/data/"])
    assert.equal((await ask(url, { path: `${path}?token=${token}` })).status, 404, path);
});

test("the data are renewed while the run goes on; who has the newest gets nothing twice", async () => {
  const { url } = await following;
  const path = `/data${url.search}`;
  const first = await ask(url, { path });
  assert.equal(dataOf(first).state, "running");
  const again = await ask(url, { path, tag: String(first.headers.etag) });
  assert.ok(again.status === 304 ? again.body.length === 0 : dataOf(again).gatheredAt > dataOf(first).gatheredAt);
  const until = performance.now() + 60_000;
  let later = first;
  while (dataOf(later).summary.steps <= dataOf(first).summary.steps) {
    assert.ok(performance.now() < until, "no newer data within a minute");
    await new Promise((resolve) => setTimeout(resolve, 500));
    later = await ask(url, { path });
  }
  assert.notEqual(later.headers.etag, first.headers.etag);
});

test("100 who ask at once, for seconds on end, are all answered, no more of them a second than the run can spare", async () => {
  const { url, server } = await following;
  const began = performance.now();
  const busy = processorSeconds(server.child.pid!);
  const path = `/data${url.search}`;
  const until = performance.now() + 2000;
  const client = async (): Promise<number> => {
    let answers = 0;
    let tag: string | undefined;
    do {
      const { status, headers } = await ask(url, { path, ...(tag !== undefined && { tag }) });
      assert.ok(status === 200 || status === 304, String(status));
      tag = String(headers.etag);
      answers++;
    } while (performance.now() < until);
    return answers;
  };
  const answers = await Promise.all(Array.from({ length: 100 }, client));
  assert.ok(Math.min(...answers) >= 1);
  const perSecond = answers.reduce((a, b) => a + b, 0) / ((performance.now() - began) / 1000);
  assert.ok(perSecond <= 21, `${perSecond} answers a second`);
  const share = (processorSeconds(server.child.pid!) - busy) / ((performance.now() - began) / 1000);
  assert.ok(share < 0.25, `the server took ${(100 * share).toFixed(0)} % of a core`); // 4 % here; without its limit all of it
});

test("the open page is renewed by itself, and what was unfolded and chosen stays so", { skip: withoutBrowser }, async () => {
  const { url } = await following;
  const { page, complaints } = await open(url.href);
  await page.locator(".items a").nth(3).click();
  await page.locator("summary", { hasText: "Settings" }).click();
  await page.locator("body").click({ position: { x: 2, y: 2 } });
  const steps = (): Promise<string> =>
    page.$$eval(
      ".tile",
      (tiles) => tiles.find((tile) => tile.textContent!.startsWith("Optimizer steps"))!.querySelector("dd")!.textContent!,
    );
  const before = await steps();
  const chosen = await page.textContent(".task h2");
  await page.evaluate("document.activeElement.blur()");
  const isRenewed = (before: string): boolean => {
    const tile = [...document.querySelectorAll(".tile")].find((tile) => tile.textContent!.startsWith("Optimizer steps"))!;
    return tile.querySelector("dd")!.textContent !== before;
  };
  await page.waitForFunction(isRenewed, before, { timeout: 60_000 });
  assert.equal(await page.textContent(".task h2"), chosen);
  assert.equal(await page.$eval("section details", (details) => (details as HTMLDetailsElement).open), true);
  assert.deepEqual(complaints, []);
});

test("--follow writes no file, and tells at once of a folder that holds no run", async () => {
  const { run } = await following;
  const { status, stderr } = await trm("report", run, "--follow", "--out", "x.html");
  assert.equal(status, 1);
  assert.match(stderr, /--follow serves the page and writes none/);
  assert.equal((await trm("report", join(folder, "nowhere"), "--follow")).status, 1);
});
