import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join, normalize } from "node:path";
import { test } from "node:test";

/** Folders whose code, and all that it imports, does without a tensor library. */
const TENSOR_FREE = "arc augment encode data vote score submission budget predict generate config checkpoint files report".split(" ");

/** Where files, sockets, processes and the environment may be touched. */
const SHELL = [
  /^src\/(cli|parallel|backend|trace|checkpoint|files|bench|bundle)\//,
  /^src\/(main|events)\.ts$/,
  /-file\.ts$/,
  /\/write\.ts$/,
  /^src\/adapt\/(run|crew|disk|run-folder)\.ts$/,
  /^src\/compare\/runner\.ts$/, // makes the runs that are compared
  /^src\/pretrain\/pretrain\.ts$/, // the shell of `pretrain`, as adapt/run.ts is of `run`
  /^src\/budget\/clock\.ts$/, // the one real clock
];
const SHELL_MODULES = /^node:(fs|net|child_process|os|worker_threads|http|https|dgram|tls)(\/|$)/;

/** Folders by height: a file imports from its own line and from those below. */
const LAYERS = [
  ["cli"],
  ["adapt", "pretrain", "bench", "bundle", "cluster"],
  ["train", "parallel"],
  ["data", "generate", "predict", "submission", "score", "vote", "trace", "backend", "checkpoint", "budget", "config", "metrics"],
  ["loss", "model", "optim"],
  ["encode"],
  ["augment"],
  ["arc", "files"],
];

interface Import {
  readonly from: string;
  readonly to: string;
  /** erased by the compiler */
  readonly typeOnly: boolean;
}

function filesUnder(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return path === "src/backend/kernels" ? [] : filesUnder(path); // AssemblyScript
    return entry.name.endsWith(".ts") && !entry.name.endsWith(".d.ts") ? [path] : [];
  });
}

const texts = new Map(filesUnder("src").map((path) => [path, readFileSync(path, "utf8")]));

/** Every import and re-export; a relative one as a path from the root. */
const imports: Import[] = [...texts].flatMap(([from, text]) =>
  [...text.matchAll(/^\s*(?:import|export)\s+(type\s+)?(?:[^"';]*?\sfrom\s+)?"([^"]+)"|\bimport\(\s*"([^"]+)"\s*\)/gm)].map((match) => {
    const to = (match[2] ?? match[3])!;
    return { from, to: to.startsWith(".") ? normalize(join(from, "..", to)) : to, typeOnly: match[1] !== undefined };
  }),
);

const folderOf = (path: string): string => /^src\/([^/]+)\//.exec(path)?.[1] ?? "";
const show = (found: Import[]): string[] => found.map(({ from, to }) => `${from} imports ${to}`);

/** Files reached from `start` over imports that run. */
function reachable(start: string): Map<string, string[]> {
  const paths = new Map([[start, [start]]]);
  for (const [at, path] of paths) {
    for (const { from, to, typeOnly } of imports) if (from === at && !typeOnly && !paths.has(to)) paths.set(to, [...path, to]);
  }
  return paths;
}

test("the imports are found: a file that has some, one that takes a type alone, one from a package", () => {
  assert.ok(texts.size > 100);
  const of = (from: string, to: string): Import | undefined => imports.find((entry) => entry.from === from && entry.to === to);
  assert.equal(of("src/model/block.ts", "src/model/attention.ts")?.typeOnly, false);
  assert.equal(of("src/trace/jit.ts", "@tensorflow/tfjs-core")?.typeOnly, true);
  assert.ok(of("src/backend/select.ts", "@tensorflow/tfjs-core/dist/register_all_gradients.js"));
  for (const { to } of imports) {
    if (to.startsWith("src/") && to.endsWith(".ts")) assert.ok(texts.has(to), to);
  }
});

test("arc, augment, encode, data, vote, score, submission and budget load no tensor library, not even by way of others", () => {
  const offences = [...texts.keys()]
    .filter((path) => TENSOR_FREE.includes(folderOf(path)))
    .flatMap((path) => {
      const way = [...reachable(path)].find(([to]) => to.startsWith("@tensorflow/"));
      return way ? [way[1].join(" -> ")] : [];
    });
  assert.deepEqual(offences, []);
});

test("files, sockets and processes belong to the shell", () => {
  const inShell = (path: string): boolean => SHELL.some((pattern) => pattern.test(path));
  assert.deepEqual(show(imports.filter(({ from, to }) => SHELL_MODULES.test(to) && !inShell(from))), []);
  const users = [...texts].filter(([path, text]) => /\bprocess\.(?!ts\b)\w/.test(text) && !inShell(path)).map(([path]) => path);
  assert.deepEqual(users, []);
});

test("nothing imports cli but the entry", () => {
  assert.deepEqual(
    show(imports.filter(({ from, to }) => folderOf(to) === "cli" && folderOf(from) !== "cli" && from !== "src/main.ts")),
    [],
  );
});

test("no two folders import each other, directly or by way of others", () => {
  const edges = new Map<string, Set<string>>();
  for (const { from, to } of imports) {
    const [a, b] = [folderOf(from), folderOf(to)];
    if (a === "" || b === "" || a === b) continue;
    edges.set(a, (edges.get(a) ?? new Set()).add(b));
  }
  const cycles: string[] = [];
  const walk = (at: string, path: readonly string[]): void => {
    if (path.includes(at)) {
      cycles.push([...path.slice(path.indexOf(at)), at].join(" -> "));
      return;
    }
    for (const next of edges.get(at) ?? []) walk(next, [...path, at]);
  };
  for (const folder of edges.keys()) walk(folder, []);
  assert.deepEqual([...new Set(cycles)].slice(0, 5), []);
});

test("imports go down the layers: cli, features, model, encode, augment, arc", () => {
  const layer = (path: string): number => LAYERS.findIndex((folders) => folders.includes(folderOf(path)));
  const known = imports.filter(({ from, to }) => layer(from) >= 0 && layer(to) >= 0);
  assert.deepEqual(show(known.filter(({ from, to }) => layer(from) > layer(to))), []);
});

test("the engine is chosen in the backend's folder; the tracer alone swaps it for itself and back", () => {
  const setters = [...texts].filter(([, text]) => /\bsetBackend\(/.test(text)).map(([path]) => path);
  assert.deepEqual(setters.sort(), ["src/backend/select.ts", "src/backend/wasm.ts", "src/trace/tracer.ts"]);
  const flags = [...texts].filter(([, text]) => /\btf\.env\(\)\.set\(/.test(text)).map(([path]) => path);
  assert.deepEqual(flags, ["src/backend/select.ts"]);
});
