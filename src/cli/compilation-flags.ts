/** Options that tell how training and evaluation steps run. */
import type { Argv } from "yargs";
import { ATTENTION_MODES, COMPILE_MODES, PRECISIONS } from "../trace/compilation.ts";

/** Adds `--compile`, `--precision`, `--attention` and `--xla-cache`; `--compile` alone is `auto`, `--no-compile` is `off`. */
export function withCompilationFlags<T>(y: Argv<T>): Argv<T> {
  y.option("compile", {
    default: "auto",
    describe: `compile steps on the TensorFlow engine: auto (XLA on a GPU, TensorFlow's graph on a CPU), xla, graph, off (op by op; also --no-compile)`,
    choices: COMPILE_MODES,
    coerce: (value: unknown) => (value === true || value === "" ? "auto" : value === false ? "off" : value),
  });
  y.option("precision", {
    choices: PRECISIONS,
    default: "auto" as const,
    describe: "of matrix products and attention: auto (bf16 on a GPU that has it, else float32), float32, bf16",
  });
  y.option("attention", {
    choices: ATTENTION_MODES,
    default: "auto" as const,
    describe: "auto (by cuDNN on a GPU that has it, with XLA and bf16, else composed), fused (by cuDNN), composed (slower, more memory)",
  });
  y.option("xla-cache", { type: "string", describe: "folder that keeps what XLA compiled, or off (default: trm/xla in ~/.cache)" });
  return y;
}
