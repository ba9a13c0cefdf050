import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { BUNDLE, folder, put } from "./toy.ts";

const MISSING_PIECES = { "g++": undefined, python3: undefined, objdump: undefined };

/** A folder of shell scripts that stand in for programs: the process's whole PATH. */
function programs(scripts: Record<string, string | undefined>): string {
  const path = mkdtempSync(join(folder, "bin-"));
  for (const [name, script] of Object.entries(scripts)) {
    if (script !== undefined) chmodSync(put(join(path.slice(folder.length + 1), name), `#!/bin/sh\n${script}\n`), 0o755);
  }
  return path;
}

/** Runs `trm tensorflow` into a new folder, with these programs alone. */
function prepare(scripts: Record<string, string | undefined>, ...args: string[]) {
  const target = mkdtempSync(join(folder, "target-"));
  const env = { PATH: programs({ ...MISSING_PIECES, ...scripts }) };
  const run = spawnSync(process.execPath, [BUNDLE, "tensorflow", "--folder", target, ...args], { encoding: "utf8", env });
  return { ...run, target };
}

/** What looks like a library until it is used. */
function fakeLibrary(name: string): string {
  for (const file of ["libtensorflow_cc.so.2", "libtensorflow_framework.so.2", "include/tensorflow/c/c_api.h"]) put(join(name, file), "");
  return join(folder, name);
}

/** A compiler that is there and fails. */
const FAILS = 'case "$1" in --version) ;; *) echo "tfjs_backend.cc:1: error: no such type" >&2; exit 1;; esac';
/** A compiler whose output is an empty file. */
const COMPILES = 'while [ "$1" != -o ]; do shift; done; : > "$2"';
const objdumpSays = (version: string): string => `echo "0000 DF *UND* 0000 (${version}) symbol"`;

function assertRefused({ status, stderr, target }: ReturnType<typeof prepare>, ...patterns: RegExp[]): void {
  assert.equal(status, 1, stderr);
  for (const pattern of patterns) assert.match(stderr, pattern);
  assert.doesNotMatch(stderr, /\n\s+at |internal:/);
  assert.deepEqual(readdirSync(target), [], "something stayed behind");
}

test("no compiler: the message says which and how to get it", () => {
  assertRefused(prepare({}, "--tf-lib", fakeLibrary("tf")), /no g\+\+ to build the binding; install one \(`apt-get install g\+\+`\)/);
});

test("no compiler and no library: told before anything is downloaded", () => {
  const refused = prepare({ python3: 'case "$*" in *"pip install"*) echo downloading >&2; exit 1;; esac' });
  assertRefused(refused, /^no g\+\+ to build the binding/);
  assert.doesNotMatch(refused.stderr, /downloading/);
});

test("no python3, no pip: the message says what is wanted of them and what else would do", () => {
  assertRefused(prepare({ "g++": FAILS }), /no TensorFlow library here and no python3 to download one; .*--tf-lib/);
  const noPip = 'case "$*" in --version) ;; *"-m pip"*) echo "python3: No module named pip" >&2; exit 1;; esac';
  assertRefused(
    prepare({ "g++": FAILS, python3: noPip }),
    /python3 has no pip .*\(python3: No module named pip\).*apt-get install python3-pip/,
  );
});

test("pip's last line is passed on where it finds no network", () => {
  const python3 = 'case "$*" in *"pip install"*) printf "Retrying\\nERROR: No matching distribution found\\n" >&2; exit 1;; esac';
  const refused = prepare({ "g++": FAILS, python3 });
  assertRefused(refused, /could not get tensorflow-cpu==[\d.]+ \(status 1\); its last line: ERROR: No matching distribution found/);
});

test("a wheel without the library is told of, and thrown away", () => {
  const target = 'while [ "$1" != --target ]; do shift; done; /bin/mkdir -p "$2/tensorflow"';
  assertRefused(
    prepare({ "g++": FAILS, python3: `case "$*" in *"pip install"*) ${target};; esac` }),
    /wheel .* holds no libtensorflow_cc\.so\.2/,
  );
});

test("a download is put in place when it is whole, and what a killed one left is removed", () => {
  const files = ["libtensorflow_cc.so.2", "libtensorflow_framework.so.2", "include/tensorflow/c/c_api.h"];
  const writes = files.map((file) => `: > "$2/tensorflow/${file}"`).join("; ");
  const install = `while [ "$1" != --target ]; do shift; done; /bin/mkdir -p "$2/tensorflow/include/tensorflow/c"; ${writes}`;
  const python3 = `case "$*" in *"pip install"*) ${install};; esac`;
  const target = mkdtempSync(join(folder, "target-"));
  mkdirSync(join(target, "download-999999999", "python"), { recursive: true });
  const env = { PATH: programs({ "g++": FAILS, python3 }) };
  const { stderr } = spawnSync(process.execPath, [BUNDLE, "tensorflow", "--folder", target], { encoding: "utf8", env });
  assert.match(stderr, /library: .*python\/tensorflow \(downloaded\)[\s\S]*g\+\+ ended with status 1/);
  assert.deepEqual(readdirSync(target), ["python"]);
  const again = spawnSync(process.execPath, [BUNDLE, "tensorflow", "--folder", target], { encoding: "utf8", env });
  assert.match(again.stderr, /library: .* \(downloaded before\)/);
});

test("too little disk space is noticed before anything is downloaded", (t) => {
  const small = join(folder, "small");
  mkdirSync(small);
  const env = { PATH: programs({ "g++": FAILS, python3: 'case "$*" in *"pip install"*) echo downloading >&2;; esac' }) };
  const trm = `'${process.execPath}' '${BUNDLE}' tensorflow --folder '${small}'`;
  const shell = `/bin/mount -t tmpfs -o size=2300m none '${small}' || exit 99; ${trm}`;
  const run = spawnSync("/usr/bin/unshare", ["--map-root-user", "--mount", "/bin/sh", "-c", shell], { encoding: "utf8", env });
  if (run.error || run.status === 99) return t.skip("no small disk can be made here (unshare --mount)");
  assert.equal(run.status, 1, run.stderr);
  assert.match(
    run.stderr,
    /small: 2\.4 GB free, TensorFlow needs 2\.5 GB while it is unpacked; make room, choose another disk with --folder/,
  );
  assert.doesNotMatch(run.stderr, /downloading/);
});

test("a Python TensorFlow that is installed is used, not downloaded", () => {
  const library = fakeLibrary("site-packages/tensorflow");
  const { stderr } = prepare({ python3: `[ "$1" = -c ] && echo '${library}'` });
  assert.match(stderr, /site-packages\/tensorflow \(python3's tensorflow package\)/);
});

test("a folder without a library, or with half of one, is refused by name", () => {
  assertRefused(prepare({}, "--tf-lib", "/nowhere"), /--tf-lib \/nowhere: no libtensorflow_cc\.so\.2 there; looked at: \/nowhere, /);
  put("half/libtensorflow_cc.so.2", "");
  assertRefused(prepare({}, "--tf-lib", join(folder, "half")), /no libtensorflow_framework\.so\.2 and no include\/tensorflow\/c\/c_api\.h/);
});

test("a compiler's error is passed on, its last lines", () => {
  const refused = prepare({ "g++": FAILS }, "--tf-lib", fakeLibrary("tf"));
  assertRefused(refused, /g\+\+ ended with status 1; its last lines:\ntfjs_backend\.cc:1: error: no such type/);
});

test("a binding for newer systems than the competition's is refused; --local allows it", () => {
  const tools = { "g++": COMPILES, objdump: objdumpSays("GLIBCXX_3.4.32") };
  assertRefused(prepare(tools, "--tf-lib", fakeLibrary("tf")), /needs GLIBCXX_3\.4\.32 \(the image: 3\.4\.30\).*pass --local/);
  const local = prepare(tools, "--tf-lib", fakeLibrary("tf"), "--local");
  assert.match(local.stderr, /note: not checked .*--local/);
  assert.doesNotMatch(local.stderr, /GLIBCXX/);
  const without = prepare({ "g++": COMPILES }, "--tf-lib", fakeLibrary("tf"));
  assert.match(without.stderr, /note: no objdump here .*not checked/);
});

test("a binding that does not load ends the command with the linker's reason and is not taken for good", () => {
  const tools = { "g++": COMPILES, objdump: objdumpSays("GLIBC_2.17") };
  const { status, stderr, target } = prepare(tools, "--tf-lib", fakeLibrary("tf"));
  assert.equal(status, 1);
  assert.match(stderr, /does not start: .*tfjs_binding\.node cannot be loaded: .*file too short.*\n.*another with --tf-lib/);
  assert.ok(stderr.includes(`does not start: ${join(target, "tfjs_binding.node")} cannot`), "another binding was tried than the one built");
  assert.ok(!existsSync(join(target, "binding.json")));
});

test("a bundle alone says that it has no sources to build from", () => {
  const alone = mkdtempSync(join(folder, "alone-"));
  mkdirSync(join(alone, "bundle"));
  copyFileSync(BUNDLE, join(alone, "bundle", "trm.mjs"));
  const { status, stderr } = spawnSync(process.execPath, ["bundle/trm.mjs", "tensorflow"], {
    cwd: alone,
    encoding: "utf8",
    env: { PATH: programs({}) },
  });
  assert.equal(status, 1);
  assert.match(stderr, /nothing to build the binding from: no node_modules with .* in .*alone-.*; run this in a checkout after `npm ci`/);
});
