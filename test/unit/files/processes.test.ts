import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { UserError } from "../../../src/errors.ts";
import { endLeftBehind, identityOf, isThere, markedProcesses, takeLock } from "../../../src/files/processes.ts";

/** Tells a process that this file starts itself as which locks to take, how many, and when. */
const CHILD = "TRM_TEST_LOCK";
if (process.env[CHILD]) {
  const [path, locks, instant] = process.env[CHILD].split(" ");
  process.stdin.resume().on("end", () => process.exit(0)); // holds them until the others have tried
  while (Date.now() < Number(instant)); // all at once
  for (let i = 0; i < Number(locks); i++) {
    try {
      takeLock(`${path}${i}`, "it");
      process.stdout.write("T");
    } catch (error) {
      process.stdout.write(error instanceof UserError ? "." : "?");
    }
  }
} else tests();

function tests(): void {
  const folder = mkdtempSync(join(tmpdir(), "trm-lock-"));
  after(() => rmSync(folder, { recursive: true }));
  const linux = process.platform === "linux" ? {} : { skip: "identities are read from /proc" };

  const sleeper = (): ReturnType<typeof spawn> => spawn(process.execPath, ["-e", "setTimeout(() => {}, 60000)"], { stdio: "ignore" });

  test("a process is told from a later one of the same number, and ended as the one that it was", linux, async () => {
    const child = sleeper();
    const identity = identityOf(child.pid!)!;
    assert.equal(isThere(identity), true);
    const other = { pid: child.pid!, started: `${identity.started}0` };
    assert.equal(isThere(other), false);
    assert.deepEqual(endLeftBehind([other]), []);
    assert.equal(isThere(identity), true, "a stranger under that number is left alone");
    assert.deepEqual(endLeftBehind([identity]), [identity]);
    await once(child, "exit");
    assert.equal(identityOf(child.pid!), undefined);
    assert.deepEqual(endLeftBehind([identity]), []);
  });

  test("processes are found by a mark in their environment, stopped ones too, and no others", linux, async () => {
    const marked = (value: string): ReturnType<typeof spawn> =>
      spawn(process.execPath, ["-e", "setTimeout(() => {}, 60000)"], { stdio: "ignore", env: { TRM_TEST_MARK: value } });
    const children = [marked(folder), marked(folder), marked(`${folder}2`)];
    children[0]!.kill("SIGSTOP");
    const found = markedProcesses("TRM_TEST_MARK", folder);
    assert.deepEqual(
      found.map(({ pid }) => pid).sort(),
      children
        .slice(0, 2)
        .map(({ pid }) => pid!)
        .sort(),
    );
    assert.equal(endLeftBehind(found).length, 2);
    await Promise.all(children.slice(0, 2).map((child) => once(child, "exit")));
    assert.deepEqual(markedProcesses("TRM_TEST_MARK", folder), []);
    children[2]!.kill("SIGKILL");
  });

  test("a lock is refused while its holder is there, and taken over after", linux, async () => {
    const path = join(folder, "lock");
    const child = sleeper();
    writeFileSync(path, JSON.stringify(identityOf(child.pid!)));
    assert.throws(() => takeLock(path, "the folder X"), new RegExp(`the folder X is in use by process ${child.pid}; wait for it to end`));
    child.kill("SIGKILL");
    await once(child, "exit");
    const lock = takeLock(path, "the folder X");
    assert.ok(existsSync(path));
    lock.release();
    assert.ok(!existsSync(path));
  });

  test("a lock that its holder never finished writing is taken over", () => {
    const path = join(folder, "half");
    writeFileSync(path, '{"pid": 1');
    takeLock(path, "it").release();
  });

  test("of several processes that would take over a lock at once, one does", linux, async () => {
    const [path, locks] = [join(folder, "contended"), 200];
    for (let i = 0; i < locks; i++) writeFileSync(`${path}${i}`, i % 2 ? "{" : JSON.stringify({ pid: process.pid, started: "before" }));
    const env = { ...process.env, [CHILD]: `${path} ${locks} ${Date.now() + 800}` };
    const children = Array.from({ length: 5 }, () =>
      spawn(process.execPath, [fileURLToPath(import.meta.url)], { stdio: ["pipe", "pipe", "inherit"], env }),
    );
    try {
      const said = await Promise.all(children.map(({ stdout }) => firstCharacters(stdout!, locks)));
      const holders = Array.from({ length: locks }, (_, i) => said.filter((all) => all[i] === "T").length);
      assert.deepEqual(holders, new Array(locks).fill(1));
      assert.ok(!said.join("").includes("?"));
    } finally {
      for (const { stdin } of children) stdin!.end();
    }
    await Promise.all(children.map((child) => child.exitCode ?? once(child, "exit")));
    assert.deepEqual(
      readdirSync(folder).filter((name) => /^contended\d+\./.test(name)),
      [],
    );
  });
}

async function firstCharacters(stream: Readable, count: number): Promise<string> {
  let all = "";
  for await (const chunk of stream) if ((all += String(chunk)).length >= count) break;
  return all;
}
