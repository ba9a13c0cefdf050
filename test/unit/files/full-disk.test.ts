import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { AppendFile } from "../../../src/files/append.ts";
import { DiskReserve } from "../../../src/files/disk-reserve.ts";

const disk = mkdtempSync(join(tmpdir(), "trm-disk-"));
const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=2m", "tmpfs", disk]).status === 0;
const small = mounted ? {} : { skip: "mounting a tmpfs is not allowed here" };
after(() => {
  if (mounted) spawnSync("umount", ["-l", disk]);
  rmSync(disk, { recursive: true, force: true });
});

/** Fills the disk but for `left` bytes. */
function fill(left = 0): string {
  const path = join(disk, "filler");
  rmSync(path, { force: true });
  const { bsize, bavail } = statfsSync(disk);
  writeFileSync(path, Buffer.alloc(bavail * bsize - left));
  return path;
}

test("a piece that does not fit is left out whole, said once, and later ones are written when there is room again", small, (t) => {
  t.mock.method(performance, "now", () => now);
  let now = 0;
  const refusals: string[] = [];
  const path = join(disk, "log");
  const file = new AppendFile(path, (text) => refusals.push(text));
  const piece = (letter: string): Buffer => Buffer.alloc(3000, letter);
  assert.equal(file.append(piece("a")), true);
  const filler = fill(1096 + 0); // the page that the file has begun holds 1096 more
  assert.equal(file.append(piece("b")), false);
  assert.equal(file.append(piece("c")), false);
  assert.equal(refusals.length, 1);
  assert.match(refusals[0]!, /log can't be written: ENOSPC.*; going on without it/);
  rmSync(filler);
  assert.equal(file.append(piece("d")), false, "not tried again at once");
  now += 60_000;
  assert.equal(file.append(piece("e")), true);
  file.close();
  assert.equal(readFileSync(path, "utf8"), piece("a").toString() + piece("e").toString());
  rmSync(path);
});

test("a reserve gives back what a full disk needs for the file that matters", small, () => {
  const reserve = new DiskReserve(disk, 2 ** 30);
  reserve.hold();
  const { bsize, blocks, bavail } = statfsSync(disk);
  const held = (blocks - bavail) * bsize;
  assert.ok(held > 0.1 * 2 ** 21 && held < 0.3 * 2 ** 21, `a part of the small disk: ${held}`);
  const filler = fill();
  const matters = join(disk, "submission.json");
  assert.throws(() => writeFileSync(matters, Buffer.alloc(100_000)), { code: "ENOSPC" });
  assert.equal(reserve.release(), true);
  writeFileSync(matters, Buffer.alloc(100_000));
  assert.equal(reserve.release(), false, "there was no more");
  rmSync(filler);
  reserve.hold();
  reserve.release();
  assert.equal(existsSync(join(disk, ".trm-reserve")), false);
});

test("a folder that is not there has no reserve, and that is no error", () => {
  const reserve = new DiskReserve(join(disk, "none"), 1000);
  reserve.hold();
  assert.equal(reserve.release(), false);
});
