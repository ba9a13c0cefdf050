/**
 * Packs the product into one file, `submission/trm.mjs`; with `--tests` the tests too, into `.build/test`.
 * The native binding of the TensorFlow engine is the only file that stays outside.
 */
import { appendFileSync, chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import asc from "assemblyscript/asc";
import * as esbuild from "esbuild";

const root = dirname(fileURLToPath(import.meta.url));
process.chdir(root);
const { version } = JSON.parse(readFileSync("package.json", "utf8"));

/** Packages that are CommonJS inside an ESM bundle need `require`; tfjs-node calls a function that Node 23 dropped. */
const banner = [
  "import{createRequire as __createRequire}from'node:module';",
  "import{fileURLToPath as __fileURLToPath}from'node:url';",
  "import{dirname as __dirnameOf}from'node:path';",
  "const require=__createRequire(import.meta.url);",
  "const __filename=__fileURLToPath(import.meta.url);",
  "const __dirname=__dirnameOf(__filename);",
  "{const u=require('node:util');u.isNullOrUndefined??=(v=>v==null);u.isArray??=Array.isArray}",
].join("");

/**
 * One copy of tfjs's core, from its modules, for everyone: tfjs-node's backend asks for the umbrella package, the wasm
 * backend for a packed core, and our gradients come from single files. Two copies would each have an engine of their own.
 */
const oneTfjsCore = {
  name: "one-tfjs-core",
  setup(build) {
    const core = join(root, "node_modules/@tensorflow/tfjs-core/dist/index.js");
    const wasm = join(root, "node_modules/@tensorflow/tfjs-backend-wasm/dist/index.js");
    build.onResolve({ filter: /^@tensorflow\/tfjs-core$/ }, () => ({ path: core }));
    build.onResolve({ filter: /^@tensorflow\/tfjs$/ }, () => ({ path: join(root, "src/backend/tfjs-for-es5.ts") }));
    build.onResolve({ filter: /^@tensorflow\/tfjs-backend-wasm$/ }, () => ({ path: wasm }));
  },
};

/** The page of a run (`src/report/page/`) as two texts, for the program to put into a file with the run's data. */
const reportPage = {
  name: "report-page",
  setup(build) {
    const folder = join(root, "src/report/page");
    const textOf = async (file) => {
      const options = { bundle: true, minify: true, write: false, target: "es2022", format: "iife", logLevel: "warning", metafile: true };
      const { outputFiles, metafile } = await esbuild.build({ entryPoints: [join(folder, file)], ...options });
      return { text: outputFiles[0].text.trim(), files: Object.keys(metafile.inputs).map((path) => join(root, path)) };
    };
    build.onResolve({ filter: /^trm:report-page$/ }, ({ path }) => ({ path, namespace: "report-page" }));
    build.onLoad({ filter: /.*/, namespace: "report-page" }, async () => {
      const [script, style] = await Promise.all([textOf("main.ts"), textOf("style.css")]);
      const contents = `export const script = ${JSON.stringify(script.text)};\nexport const style = ${JSON.stringify(style.text)};\n`;
      return { contents, watchFiles: [...script.files, ...style.files] };
    });
  },
};

/** The wasm engine's own kernels (AssemblyScript, `src/backend/kernels/`), compiled to a module that shares the backend's memory. */
async function compileKernels() {
  const out = ".build/kernels.wasm";
  mkdirSync(dirname(out), { recursive: true });
  const options = "-O3 --noAssert --runtime stub --importMemory --initialMemory 1 --enable simd".split(" ");
  const { error, stderr } = await asc.main(["src/backend/kernels/index.ts", "--outFile", out, ...options]);
  if (error) throw new Error(`AssemblyScript: ${error.message}\n${stderr.toString()}`);
  return statSync(out).size;
}

function filesUnder(folder, suffix) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() ? filesUnder(join(folder, entry.name), suffix) : entry.name.endsWith(suffix) ? [join(folder, entry.name)] : [],
  );
}

async function bundle(entryPoints, extra) {
  const result = await esbuild.build({
    entryPoints,
    bundle: true,
    platform: "node",
    target: "node20",
    format: "esm",
    banner: { js: banner },
    loader: { ".wasm": "binary", ".sh": "text" },
    ignoreAnnotations: true, // else tfjs's imports for their side effects are dropped
    plugins: [oneTfjsCore, reportPage],
    define: { VERSION: JSON.stringify(version) },
    metafile: true,
    logLevel: "warning",
    legalComments: "linked",
    ...extra,
  });
  if (result.warnings.length > 0) throw new Error(`esbuild gave ${result.warnings.length} warnings; each can mean a missing backend`);
  return result;
}

/**
 * The licence of every package that has something in the file. esbuild's own list has the comments found in the sources alone,
 * which most packages' licences are not.
 */
function packageLicences(metafile) {
  const folders = Object.keys(metafile.inputs).flatMap((path) => path.match(/^.*node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/) ?? []);
  const compiledIn = "node_modules/assemblyscript"; // its standard library, in the kernels
  return [...new Set([...folders, compiledIn])].sort().map((folder) => {
    const { name, version: of, license, author } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
    const texts = readdirSync(folder).filter((file) => /^(licen[cs]e|notice|copying)([.-].*)?$/i.test(file));
    if (texts.length === 0 && !license) throw new Error(`${folder} has no licence: it may not be shipped`);
    const by = typeof author === "object" ? author.name : author;
    const none = `(no text in the package; its package.json says ${license}${by ? `, author ${by}` : ""})`;
    const text = texts.map((file) => readFileSync(join(folder, file), "utf8").trim()).join("\n\n") || none;
    return `${"-".repeat(80)}\n${name} ${of} (${license})\n\n${text}\n`;
  });
}

const kernelBytes = await compileKernels();
const main = await bundle(["src/main.ts"], { outfile: "submission/trm.mjs", minify: true, keepNames: true });
chmodSync("submission/trm.mjs", 0o755); // npm links it as `trm`
const bytes = main.metafile.outputs["submission/trm.mjs"].bytes;
appendFileSync("submission/trm.mjs.LEGAL.txt", `\nLicences of the packages in the file:\n\n${packageLicences(main.metafile).join("\n")}`);
console.error(`submission/trm.mjs ${(bytes / 2 ** 20).toFixed(2)} MiB (own wasm kernels ${kernelBytes} bytes)`);

if (process.argv.includes("--tests")) {
  rmSync(".build/test", { recursive: true, force: true });
  const tests = filesUnder("test", ".test.ts");
  await bundle(tests, {
    external: ["playwright-core"], // drives a browser by files of its own
    outdir: ".build/test",
    outbase: "test",
    outExtension: { ".js": ".mjs" },
    splitting: true,
    sourcemap: "inline",
    minifyIdentifiers: true, // as in the product: yargs declares a name of the banner again
    keepNames: true,
    legalComments: "none",
  });
  console.error(`${tests.length} test files in ${relative(root, ".build/test")}`);
}
if (process.argv.includes("--report")) {
  writeFileSync(".build/size.txt", await esbuild.analyzeMetafile(main.metafile));
}
