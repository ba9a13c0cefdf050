/** `bench`: how fast a training step and an ACT step run here. */
import type { Argv, CommandModule } from "yargs";
import { chooseEngine, workerEnvironment } from "../backend/choose.ts";
import { compilationCache } from "../backend/compilation-cache.ts";
import { countGpus } from "../backend/gpus.ts";
import { ENGINES, type EngineChoice } from "../backend/select.ts";
import { checkMemory, describeMemoryCheck, MEMORY_CASES, type MemoryCase, type MemoryCheck, runMemoryCase } from "../bench/memory.ts";
import { type BenchRequest, type CountedStep, runBench, runBenchHere, runRooflineHere } from "../bench/process.ts";
import type { RooflineRequest } from "../bench/roofline.ts";
import { BENCH_PRESETS } from "../bench/train-step.ts";
import { wholeNumber } from "../config/whole-number.ts";
import { UserError } from "../errors.ts";
import { type AttentionMode, type CompileMode, mayUseXla, type Precision } from "../trace/compilation.ts";
import { withCompilationFlags } from "./compilation-flags.ts";
import { describeRoofline, type RooflineArgs, rooflineRequest, withRooflineFlags } from "./roofline-flags.ts";

interface BenchArgs extends RooflineArgs {
  preset: string;
  engine: EngineChoice;
  tfLib: string | undefined;
  threads: number | undefined;
  steps: number;
  compile: CompileMode;
  precision: Precision;
  attention: AttentionMode;
  xlaCache?: string | undefined;
  seed?: string;
  json?: boolean;
  inside?: string | undefined;
  project?: string | undefined;
  memory: boolean;
  memoryCase?: string | undefined;
}

export const benchCommand: CommandModule<object, BenchArgs> = {
  command: "bench",
  describe: "Time a training step and an ACT step, beside this machine's matrix-product speed",
  builder: (y) =>
    withRooflineFlags(withCompilationFlags(y))
      .option("preset", {
        choices: Object.keys(BENCH_PRESETS),
        default: "S",
        describe: "size: S 128/10x10/16, M 256/15x15/8, L 512/30x30/1 (hidden/canvas/batch)",
      })
      .option("engine", { choices: ENGINES, default: "auto" as const, describe: "engine to time" })
      .option("tf-lib", { type: "string", describe: "folder of a TensorFlow library, or what `tensorflow --folder` filled" })
      .option("threads", { type: "number", describe: "threads of the TensorFlow engine" })
      .option("steps", { type: "number", default: 10, describe: "timed steps, after two for warming up" })
      .option("memory", {
        type: "boolean",
        default: false,
        describe: "instead: peak memory over a spread of sizes, beside what the memory model says (half an hour)",
      })
      .option("memory-case", { type: "string", hidden: true, describe: "a case, run in this process" })
      .option("project", { type: "string", hidden: true, describe: "a request for a projection, made in this process" })
      .option("inside", { type: "string", hidden: true, describe: "a request, run in this process" }) as unknown as Argv<BenchArgs>,
  handler: async (args) => {
    if (args.inside !== undefined) return console.log(JSON.stringify(await runBenchHere(JSON.parse(args.inside) as BenchRequest)));
    if (args.project !== undefined) return console.log(JSON.stringify(await runRooflineHere(JSON.parse(args.project) as RooflineRequest)));
    if (args.memoryCase !== undefined) return console.log(JSON.stringify(await runMemoryCase(JSON.parse(args.memoryCase) as MemoryCase)));
    if (args.memory) return benchMemory(args);
    wholeNumber("--steps", args.steps, 1);
    const { preset, threads, steps, seed, json, compile, precision, attention } = args;
    const roofline = args.roofline ? rooflineRequest(args, args) : undefined;
    const chosen = chooseEngine(args.engine, args.tfLib);
    if (roofline && chosen.engine === "wasm") {
      const next = args.engine === "wasm" ? "leave --engine wasm out" : "`npm run tensorflow` gets it";
      throw new UserError(`--roofline counts the work of traced steps, and tracing needs TensorFlow's binding and library; ${next}`);
    }
    const mayCompile = chosen.engine === "tensorflow" && mayUseXla(args, countGpus());
    const cache = mayCompile
      ? compilationCache({ location: chosen.location, asked: args.xlaCache, warn: (text) => console.error(text) })
      : {};
    const result = await runBench(
      { preset, engine: chosen.engine, threads, steps, seed: seed ?? "0", compilation: { compile, precision, attention }, roofline },
      { ...workerEnvironment(chosen, threads), ...cache },
    );
    if (json) return console.log(JSON.stringify(result));
    const ms = (seconds: number): string => `${(seconds * 1000).toFixed(1)} ms`;
    console.log(`preset ${preset} on ${result.engine}, ${result.running}; first step ${result.secondsToFirstStep.toFixed(1)} s`);
    for (const warning of result.warnings) console.log(warning);
    console.log(`training step    median ${ms(result.secondsPerTrainStep.median)}, best ${ms(result.secondsPerTrainStep.min)}`);
    console.log(`evaluation step  median ${ms(result.secondsPerActStep.median)}, best ${ms(result.secondsPerActStep.min)}`);
    console.log(
      `matrix products  ${result.matmulGflops.toFixed(1)} GFLOP/s alone; the step's ${(result.flopsPerTrainStep / 1e9).toFixed(1)} GFLOP would take ${ms(result.secondsOfProducts)}`,
    );
    console.log(
      `a training step takes ${(result.secondsPerTrainStep.median / result.secondsOfProducts).toFixed(2)} times that; peak memory ${(result.peakRssBytes / 2 ** 20).toFixed(0)} MiB`,
    );
    if (result.counted) {
      const line = (name: string, { flops, bytes, shareOfMatmulSpeed, gigabytesPerSecond }: CountedStep): void =>
        console.log(
          `${name}counted ${(flops / 1e9).toFixed(1)} GFLOP, ${(bytes / 1e9).toFixed(2)} GB: ${(shareOfMatmulSpeed * 100).toFixed(0)} % of the matrix-product speed, ${gigabytesPerSecond.toFixed(1)} GB/s`,
        );
      line("training step    ", result.counted.trainStep);
      line("evaluation step  ", result.counted.actStep);
    }
    if (result.roofline) console.log(describeRoofline(result.roofline));
  },
};

/** One line a case as it comes; cases of an engine that is not at hand, or not the one asked for, are left out. */
async function benchMemory({ engine, tfLib, json }: BenchArgs): Promise<void> {
  const engines = engine === "auto" ? (["wasm", "tensorflow"] as const) : [engine];
  const chosen = new Map(
    engines.flatMap((name) => {
      const found = chooseEngine(engine === "auto" && name === "tensorflow" ? "auto" : name, tfLib);
      return found.engine === name ? [[name, found] as const] : [];
    }),
  );
  const checks: MemoryCheck[] = [];
  for (const measured of MEMORY_CASES) {
    const on = chosen.get(measured.engine);
    if (!on) continue;
    const check = await checkMemory(measured, workerEnvironment(on));
    checks.push(check);
    if (!json) console.log(describeMemoryCheck(check));
  }
  const offs = checks.map(({ expectedBytes, bytes }) => Math.abs(expectedBytes / bytes - 1));
  if (json) console.log(JSON.stringify({ checks, largestOff: Math.max(...offs) }));
  else console.log(`off by ${(100 * Math.max(...offs)).toFixed(0)} % at most`);
}
