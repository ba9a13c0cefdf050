/** Options that tell how training and evaluation steps run. */
import type { Argv } from "yargs";
import { UserError } from "../errors.ts";
import { COMPILE_MODES, type CompileMode, PRECISIONS } from "../trace/compilation.ts";

/** Adds `--compile` and `--precision`; `--compile` alone is `auto`, `--no-compile` is `off`. */
export function withCompilationFlags<T>(y: Argv<T>): Argv<T> {
  y.option("compile", {
    default: "auto",
    describe: `compile steps on the TensorFlow engine: auto (XLA on a GPU, TensorFlow's graph on a CPU), xla, graph, off (op by op; also --no-compile)`,
    coerce: (value: unknown): CompileMode => {
      if (value === true || value === "") return "auto";
      if (value === false) return "off";
      if (COMPILE_MODES.includes(value as CompileMode)) return value as CompileMode;
      throw new UserError(`--compile ${String(value)}: expected ${COMPILE_MODES.join(", ")}`);
    },
  });
  y.option("precision", {
    choices: PRECISIONS,
    default: "auto" as const,
    describe: "of matrix products and attention: auto (bf16 on a GPU, else float32), float32, bf16",
  });
  return y;
}
