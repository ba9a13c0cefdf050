/** What a pre-training is asked to do. */
import type { EngineChoice } from "../backend/select.ts";
import type { Pretraining } from "../config/pretraining.ts";
import type { LogLevel } from "../events.ts";
import type { AttentionMode, CompileMode, Precision } from "../trace/compilation.ts";
import type { TaskFiles } from "./tasks.ts";

export interface PretrainRequest {
  /** folder of the checkpoint */
  readonly out: string;
  /** checkpoint to go on from */
  readonly from: string | undefined;
  /** folder of a training state to take up again */
  readonly resume: string | undefined;
  /** folder in which the state to resume from is kept, beside the checkpoint */
  readonly state: string | undefined;
  /** folder for the log, the resolved settings and the curves */
  readonly runDir: string | undefined;
  /** name of the recipe */
  readonly recipe: string | undefined;
  readonly settings: Pretraining;
  readonly files: TaskFiles;
  /** settings that a checkpoint or a training state has no say in, as they were given on purpose */
  readonly given: ReadonlySet<keyof Pretraining>;
  /** optimizer steps of the whole course, those before `resume` included; see `courseSteps` */
  readonly steps: number | undefined;
  /** wall clock of this process */
  readonly budgetSeconds: number | undefined;
  readonly saveSeconds: number;
  /** processes that share each batch; one for each GPU, else one, unless given */
  readonly workers: number | undefined;
  readonly threads: number | undefined;
  /** bytes of memory for puzzle rows in each worker; more of them lie in a file */
  readonly rowMemoryBytes: number;
  /** rows that go through the model together in each worker; as many as its memory holds unless given */
  readonly microBatch?: number | undefined;
  /** blocks are computed again for their gradient; where memory is short unless given */
  readonly recompute?: boolean | undefined;
  readonly engine: EngineChoice;
  readonly tfLib: string | undefined;
  readonly compile: CompileMode;
  readonly precision: Precision;
  /** `auto` unless given */
  readonly attention?: AttentionMode | undefined;
  /** folder that keeps what XLA compiled, or `off` */
  readonly xlaCache?: string | undefined;
  readonly seed: string;
  readonly level: LogLevel;
  /** the command line, for the model card */
  readonly command: string;
  /** environment by which workers are known as this process's, see `files/held-folders.ts` */
  readonly workerMark?: Readonly<Record<string, string>> | undefined;
}

export interface PretrainResult {
  readonly checkpoint: string;
  readonly steps: number;
  readonly lmLoss: number;
  readonly accuracy: number;
  readonly exactAccuracy: number;
  readonly seconds: number;
  /** the last evaluation's curves, where there was one */
  readonly evaluation?: Readonly<Record<string, number>> | undefined;
}
