import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, statSync, truncateSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { clearOwnCache, compilationCache } from "../../../src/backend/compilation-cache.ts";
import { mayUseXla } from "../../../src/trace/compilation.ts";

const place = (): string => mkdtempSync(join(tmpdir(), "trm-cache-test-"));

/** What looks like a library. */
function location(content = "library") {
  const libraryFolder = place();
  writeFileSync(join(libraryFolder, "libtensorflow_cc.so.2"), content);
  return { binding: join(libraryFolder, "tfjs_binding.node"), libraryFolder };
}

const folderIn = ({ TF_XLA_FLAGS }: Record<string, string>): string => /--tf_xla_persistent_cache_directory=(\S+)/.exec(TF_XLA_FLAGS!)![1]!;

test("the cache lies in the user's cache folder, in a folder of the library's own, which is made", () => {
  const [home, lib] = [place(), location()];
  const of = (library: ReturnType<typeof location>): string =>
    folderIn(compilationCache({ location: library, asked: undefined, environment: { XDG_CACHE_HOME: home } }));
  assert.equal(dirname(of(lib)), join(home, "trm", "xla"));
  assert.ok(statSync(of(lib)).isDirectory());
  assert.deepEqual(readdirSync(of(lib)), []);
  assert.equal(of(lib), of(lib));
  assert.notEqual(of(lib), of(location("another library")));
});

test("the flag is added to the user's own; a cache of the user's, a file of flags, `off` and no TensorFlow leave them alone", () => {
  const [asked, lib] = [place(), location()];
  const added = (flags: string | undefined) => compilationCache({ location: lib, asked, environment: { TF_XLA_FLAGS: flags } });
  assert.match(added("--tf_xla_auto_jit=2").TF_XLA_FLAGS!, /^--tf_xla_auto_jit=2 --tf_xla_persistent_cache_directory=\S+$/);
  assert.match(added(undefined).TF_XLA_FLAGS!, /^--tf_xla_persistent_cache_directory=\S+$/);
  assert.deepEqual(added("--tf_xla_persistent_cache_directory=/mine"), {});
  assert.deepEqual(added("flags.txt"), {});
  assert.deepEqual(compilationCache({ location: lib, asked: "off", environment: {} }), {});
  assert.deepEqual(compilationCache({ location: undefined, asked, environment: {} }), {});
});

test("a folder that can't be written to is not used: the temporary folder is, or nothing where the folder was asked for", () => {
  const [home, lib] = [join(place(), "a-file"), location()];
  writeFileSync(home, "");
  const elsewhere = folderIn(compilationCache({ location: lib, asked: undefined, environment: { XDG_CACHE_HOME: home } }));
  assert.equal(dirname(dirname(elsewhere)), tmpdir());
  assert.deepEqual(compilationCache({ location: lib, asked: join(home, "below"), environment: {} }), {});
  assert.deepEqual(compilationCache({ location: lib, asked: "/proc/trm", environment: {} }), {});
  // TensorFlow splits its flags at spaces
  assert.deepEqual(compilationCache({ location: lib, asked: join(place(), "a space"), environment: {} }), {});
});

test("entries used least lately go beyond 512 MiB; other files stay", () => {
  const [asked, lib] = [place(), location()];
  const folder = folderIn(compilationCache({ location: lib, asked, environment: {} }));
  for (const [name, age] of [
    ["xla_compile_cache__old", 300],
    ["xla_compile_cache__new", 100],
    ["notes", 500],
  ] as const) {
    // biome-ignore format: a table
    writeFileSync(join(folder, name), "");
    if (name !== "notes") truncateSync(join(folder, name), 300 * 2 ** 20);
    utimesSync(join(folder, name), Date.now() / 1000 - age, Date.now() / 1000 - age);
  }
  compilationCache({ location: lib, asked, environment: {} });
  assert.deepEqual(readdirSync(folder).sort(), ["notes", "xla_compile_cache__new"]);
});

test("a process empties its own cache alone, and says whether there was anything", () => {
  const [asked, lib] = [place(), location()];
  const environment = compilationCache({ location: lib, asked, environment: {} });
  assert.equal(clearOwnCache(environment), false);
  const entry = join(folderIn(environment), "xla_compile_cache__1__2__XLA_CPU_JIT.pb");
  writeFileSync(entry, "damaged");
  assert.equal(clearOwnCache({ TF_XLA_FLAGS: environment.TF_XLA_FLAGS }), false);
  assert.ok(existsSync(entry));
  assert.equal(clearOwnCache(environment), true);
  assert.ok(!existsSync(entry));
});

test("XLA may compile where it is asked for, or on a GPU by itself", () => {
  const modes = ["auto", "xla", "graph", "off"] as const;
  assert.deepEqual(modes.map((compile) => [mayUseXla({ compile }, 0), mayUseXla({ compile }, 2)]), [[false, true], [true, true], [false, false], [false, false]]); // biome-ignore format: a table
});
