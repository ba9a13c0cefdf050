/** The options of `run`, and what they are unless given. */
import type { EngineChoice } from "../backend/select.ts";
import type { LogLevel } from "../events.ts";
import { BEST_KEPT } from "../predict/candidate-file.ts";
import type { AttentionMode, CompileMode, Precision } from "../trace/compilation.ts";
import type { MemoryArgs } from "./memory-flags.ts";
import type { RehearsalArgs } from "./rehearsal-flags.ts";

/** The options of `run`. */
export interface RunArgs extends RehearsalArgs, MemoryArgs {
  challenges: string | undefined;
  solutions: string | undefined;
  checkpoint: string | undefined;
  scratch: boolean;
  out: string;
  runDir: string | undefined;
  resume: string | undefined;
  budget: string;
  startedAt: string | undefined;
  steps: number | undefined;
  workers: string;
  requireGpus: number | undefined;
  engine: EngineChoice;
  compile: CompileMode;
  precision: Precision;
  /** undefined in a run that was begun before there was a choice */
  attention: AttentionMode | undefined;
  xlaCache?: string | undefined;
  tfLib: string | undefined;
  sync: "allreduce" | "none";
  canvas: string;
  snapshotEvery: string;
  limit: number | undefined;
  tasks: string | undefined;
  /** undefined in a run that was begun before there was a choice */
  keepAnswers: number | undefined;
  leaveOut: number | undefined;
  shard: string | undefined;
  freePauses: boolean;
  preset: string | undefined;
  config: string | undefined;
  seed?: string;
  json?: boolean;
  quiet: boolean;
  /** not of `evaluate` */
  strict?: boolean;
  logLevel?: LogLevel;
}

/** Options that a run which is taken up again was begun with; the others are the process's own. */
export const RUN_DEFAULTS = {
  challenges: undefined,
  solutions: undefined,
  checkpoint: undefined,
  preset: undefined,
  config: undefined,
  scratch: false,
  out: "submission.json",
  budget: "11h30m",
  steps: undefined,
  workers: "auto",
  requireGpus: undefined,
  engine: "auto",
  compile: "auto",
  precision: "auto",
  attention: "auto",
  microBatch: undefined,
  recompute: "auto",
  tfLib: undefined,
  sync: "allreduce",
  canvas: "auto",
  snapshotEvery: "60s",
  limit: undefined,
  tasks: undefined,
  keepAnswers: BEST_KEPT,
  leaveOut: undefined,
  shard: undefined,
  freePauses: false,
  device: undefined,
  timeScale: undefined,
  seed: "0",
} as const satisfies Partial<RunArgs>;

/** Those that a run which is taken up again may be given anew: they change no answer that it is meant to give. */
export const RUN_CHANGEABLE: readonly (keyof typeof RUN_DEFAULTS)[] = ["attention", "keepAnswers"];

/** Those that are paths. */
export const RUN_PATHS: readonly (keyof typeof RUN_DEFAULTS)[] = ["challenges", "solutions", "checkpoint", "config", "out", "tfLib"];
