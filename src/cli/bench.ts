/** `bench`: how fast a training step and an ACT step run here. */
import type { Argv, CommandModule } from "yargs";
import { chooseEngine, workerEnvironment } from "../backend/choose.ts";
import { ENGINES, type EngineChoice } from "../backend/select.ts";
import { runBenchWorker } from "../bench/process.ts";
import { BENCH_PRESETS } from "../bench/train-step.ts";
import type { CompileMode, Precision } from "../trace/compilation.ts";
import { withCompilationFlags } from "./compilation-flags.ts";

interface BenchArgs {
  preset: string;
  engine: EngineChoice;
  tfLib: string | undefined;
  threads: number | undefined;
  steps: number;
  compile: CompileMode;
  precision: Precision;
  seed?: string;
  json?: boolean;
  inside: boolean;
}

export const benchCommand: CommandModule<object, BenchArgs> = {
  command: "bench",
  describe: "Time a training step and an ACT step, beside this machine's matrix-product speed",
  builder: (y) =>
    withCompilationFlags(y)
      .option("preset", {
        choices: Object.keys(BENCH_PRESETS),
        default: "S",
        describe: "size: S 128/10x10/16, M 256/15x15/8, L 512/30x30/1 (hidden/canvas/batch)",
      })
      .option("engine", { choices: ENGINES, default: "auto" as const, describe: "engine to time" })
      .option("tf-lib", { type: "string", describe: "folder of a TensorFlow library" })
      .option("threads", { type: "number", describe: "threads of the TensorFlow engine" })
      .option("steps", { type: "number", default: 10, describe: "timed steps, after two for warming up" })
      .option("inside", { type: "boolean", default: false, hidden: true, describe: "run in this process" }) as unknown as Argv<BenchArgs>,
  handler: async ({ preset, engine, tfLib, threads, steps, seed, json, inside, compile, precision }) => {
    const chosen = chooseEngine(engine, tfLib);
    const result = await runBenchWorker(
      { preset, engine: chosen.engine, threads, steps, seed: seed ?? "0", compilation: { compile, precision }, inside },
      workerEnvironment(chosen, threads),
    );
    if (json || inside) return console.log(JSON.stringify(result));
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
  },
};
