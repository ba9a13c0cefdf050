import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { checkManifest, MANIFEST_FILE } from "../../../src/files/manifest.ts";

const folder = mkdtempSync(join(tmpdir(), "trm-manifest-"));
after(() => rmSync(folder, { recursive: true, force: true }));

/** SHA-256 of "abc", from FIPS 180-2. */
const ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

async function check(files: unknown): Promise<unknown> {
  writeFileSync(join(folder, MANIFEST_FILE), JSON.stringify({ files }));
  return await checkManifest(folder);
}

test("a folder without a manifest has nothing to compare with", async () => {
  assert.equal(await checkManifest(join(folder, "none")), undefined);
});

test("whole files pass, in the short form and with their sizes", async () => {
  writeFileSync(join(folder, "a"), "abc");
  assert.deepEqual(await check({ a: ABC }), { files: 1, problems: [] });
  assert.deepEqual(await check({ a: { sha256: ABC, bytes: 3 } }), { files: 1, problems: [] });
});

test("every file that is missing, cut short or changed is named", async () => {
  writeFileSync(join(folder, "a"), "abd");
  const entry = { sha256: ABC, bytes: 3 };
  assert.deepEqual(await check({ a: entry, gone: entry, "../b": entry, "/etc/passwd": entry }), {
    files: 4,
    problems: [
      "a has changed since it was packed (SHA-256)",
      "gone is missing",
      "../b is no name of a file in the bundle",
      "/etc/passwd is no name of a file in the bundle",
    ],
  });
  writeFileSync(join(folder, "a"), "ab");
  assert.deepEqual(await check({ a: entry }), { files: 1, problems: ["a has 2 bytes, 3 were packed"] });
});

test("a manifest that is no manifest is a problem, not a crash", async () => {
  const { problems } = (await check({ a: "12" })) as { problems: string[] };
  assert.match(problems[0]!, /^manifest\.json cannot be read: .*64 hexadecimal digits/s);
  writeFileSync(join(folder, MANIFEST_FILE), "{");
  assert.equal((await checkManifest(folder))!.problems.length, 1);
});
