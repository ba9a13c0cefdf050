import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import os, { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import { clearOwnCache, compilationCache, sealOwnCache } from "../../../src/backend/compilation-cache.ts";
import { mayUseXla } from "../../../src/trace/compilation.ts";

const folder = mkdtempSync(join(tmpdir(), "trm-cache-test-"));
process.env.TMPDIR = folder; // where a cache goes that has no other place
const disk = join(folder, "disk");
mkdirSync(disk);
const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", disk]).status === 0;
const small = mounted ? {} : { skip: "mounting a tmpfs is not allowed here" };
after(() => {
  if (mounted) spawnSync("umount", ["-l", disk]);
  rmSync(folder, { recursive: true, force: true });
});

const place = (): string => mkdtempSync(join(folder, "place-"));

/** What looks like a library. */
function location(content = "library") {
  const libraryFolder = place();
  writeFileSync(join(libraryFolder, "libtensorflow_cc.so.2"), content);
  return { binding: join(libraryFolder, "tfjs_binding.node"), libraryFolder };
}

const LIBRARY = location();

/** The environment for workers, and what was warned of. */
function cacheOf(asked: string | undefined, environment: Record<string, string | undefined> = {}, library = LIBRARY) {
  const warnings: string[] = [];
  const added = compilationCache({ location: library, asked, environment, warn: (text) => warnings.push(text) });
  return { added, warnings, folder: /--tf_xla_persistent_cache_directory=(\S+)/.exec(added.TF_XLA_FLAGS ?? "")?.[1] ?? "" };
}

/** Writes an entry as a process does that compiles. @returns its path */
function compiled(cache: ReturnType<typeof cacheOf>, name: string, content = "machine code"): string {
  const path = join(cache.folder, `xla_compile_cache__${name}`);
  writeFileSync(path, content);
  sealOwnCache(cache.added);
  return path;
}

test("the cache lies in the user's cache folder, in a folder of the library's own, which is made", () => {
  const home = place();
  const of = (library: typeof LIBRARY) => cacheOf(undefined, { XDG_CACHE_HOME: home }, library).folder;
  assert.equal(dirname(of(LIBRARY)), join(home, "trm", "xla"));
  assert.ok(statSync(of(LIBRARY)).isDirectory());
  assert.deepEqual(readdirSync(of(LIBRARY)), []);
  assert.equal(of(LIBRARY), of(LIBRARY));
  assert.notEqual(of(LIBRARY), of(location("another library")));
});

test("the flag is added to the user's own; a cache of the user's, a file of flags, `off` and no TensorFlow leave them alone", () => {
  const asked = place();
  const added = (flags: string | undefined) => cacheOf(asked, { TF_XLA_FLAGS: flags }).added;
  assert.match(added("--tf_xla_auto_jit=2").TF_XLA_FLAGS!, /^--tf_xla_auto_jit=2 --tf_xla_persistent_cache_directory=\S+$/);
  assert.match(added(undefined).TF_XLA_FLAGS!, /^--tf_xla_persistent_cache_directory=\S+$/);
  assert.deepEqual(added("--tf_xla_persistent_cache_directory=/mine"), {});
  assert.deepEqual(added("flags.txt"), {});
  const off = cacheOf("off");
  assert.deepEqual([off.added, off.warnings], [{}, []]);
  assert.deepEqual(compilationCache({ location: undefined, asked, environment: {}, warn: assert.fail }), {});
});

test("a folder that can't be written to is not used: the temporary folder is, or nothing, with a warning, where the folder was asked for", () => {
  const home = join(place(), "a-file");
  writeFileSync(home, "");
  const elsewhere = cacheOf(undefined, { XDG_CACHE_HOME: home });
  assert.equal(dirname(dirname(elsewhere.folder)), folder);
  assert.deepEqual(elsewhere.warnings, []);
  const spaced = join(place(), "a space"); // TensorFlow splits its flags at spaces
  for (const [asked, why] of [
    [join(home, "below"), /ENOTDIR/],
    ["/proc/trm", /ENOENT/],
    [spaced, /a blank or a quote/],
  ] as const) {
    const { added, warnings } = cacheOf(asked);
    assert.deepEqual(added, {});
    assert.equal(warnings.length, 1);
    assert.match(warnings[0]!, why);
    assert.ok(warnings[0]!.startsWith(`what XLA compiles is not kept for later runs (${asked}: `), warnings[0]);
    assert.match(warnings[0]!, /--xla-cache DIR$/);
  }
});

test("a full or read-only disk costs a warning", small, () => {
  const full = cacheOf(join(disk, "cache"));
  assert.deepEqual(full.added, {});
  assert.match(full.warnings.join(), /less than 64 MiB of disk are free/);
  assert.equal(spawnSync("mount", ["-o", "remount,ro", disk]).status, 0);
  const readOnly = cacheOf(join(disk, "other"));
  assert.deepEqual(readOnly.added, {});
  assert.match(readOnly.warnings.join(), /EROFS/);
});

test("a user without a home folder, or with one that is not there, has a cache in the temporary folder", (t) => {
  const lost = t.mock.method(os, "homedir", () => "/proc/no/home");
  syncBuiltinESMExports();
  for (const home of [
    () => "/proc/no/home",
    () => {
      throw new Error("uv_os_homedir returned ENOENT"); // as for a user that the system has no entry of
    },
  ]) {
    lost.mock.mockImplementation(home);
    const cache = cacheOf(undefined);
    assert.equal(dirname(dirname(cache.folder)), folder);
    assert.deepEqual(cache.warnings, []);
  }
  assert.equal(lost.mock.callCount(), 2);
  lost.mock.restore();
  syncBuiltinESMExports();
});

test("a folder of the temporary one that others can write to is not trusted with machine code", () => {
  const usual = dirname(cacheOf(undefined, { XDG_CACHE_HOME: "/proc/none" }).folder);
  chmodSync(usual, 0o777);
  const { added, warnings } = cacheOf(undefined, { XDG_CACHE_HOME: "/proc/none" });
  chmodSync(usual, 0o700);
  assert.deepEqual(added, {});
  assert.match(warnings.join(), /others can write there/);
});

test("entries used least lately go beyond 512 MiB; other files stay", () => {
  const cache = cacheOf(place());
  for (const [name, age] of [
    ["old", 300],
    ["new", 100],
  ] as const) {
    const path = compiled(cache, name, "");
    truncateSync(path, 300 * 2 ** 20);
    rmSync(`${path}.sha256`);
    sealOwnCache(cache.added);
    utimesSync(path, Date.now() / 1000 - age, Date.now() / 1000 - age);
  }
  writeFileSync(join(cache.folder, "notes"), "");
  cacheOf(dirname(cache.folder));
  assert.deepEqual(readdirSync(cache.folder).sort(), ["notes", "xla_compile_cache__new", "xla_compile_cache__new.sha256"]);
});

test("entries that were damaged since, or left half written, are gone before a process can run them; whole ones stay, and looking is not using", () => {
  const cache = cacheOf(place());
  const [whole, flipped, halfWritten] = [
    compiled(cache, "whole"),
    compiled(cache, "flipped"),
    join(cache.folder, "xla_compile_cache__half"),
  ];
  writeFileSync(flipped, "machine cOde");
  writeFileSync(halfWritten, "mach");
  utimesSync(whole, 1000, 2000);
  cacheOf(dirname(cache.folder));
  assert.deepEqual(readdirSync(cache.folder).sort(), ["xla_compile_cache__whole", "xla_compile_cache__whole.sha256"]);
  assert.deepEqual([statSync(whole).atimeMs, statSync(whole).mtimeMs], [1_000_000, 2_000_000]);
  assert.equal(readFileSync(whole, "utf8"), "machine code");
});

test("a process empties its own cache alone, an empty entry too, and says whether it has one", () => {
  const cache = cacheOf(place());
  const entries = [compiled(cache, "1__2__XLA_CPU_JIT.pb"), compiled(cache, "3__4__XLA_CPU_JIT.pb", "")];
  assert.equal(clearOwnCache({ TF_XLA_FLAGS: cache.added.TF_XLA_FLAGS }), false);
  assert.ok(entries.every((path) => existsSync(path)));
  assert.equal(clearOwnCache(cache.added), true);
  assert.deepEqual(readdirSync(cache.folder), []);
  assert.equal(clearOwnCache(cache.added), true, "another process may have emptied it");
});

test("XLA may compile where it is asked for, or on a GPU by itself", () => {
  const modes = ["auto", "xla", "graph", "off"] as const;
  assert.deepEqual(modes.map((compile) => [mayUseXla({ compile }, 0), mayUseXla({ compile }, 2)]), [[false, true], [true, true], [false, false], [false, false]]); // biome-ignore format: a table
});
