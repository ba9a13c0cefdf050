/** Options that tell how a batch is cut to fit the memory. */
import type { Argv } from "yargs";
import { UserError } from "../errors.ts";

const RECOMPUTE = ["auto", "on", "off"] as const;
export type Recompute = (typeof RECOMPUTE)[number];

/** Adds `--micro-batch` and `--recompute`. */
export function withMemoryFlags<T>(y: Argv<T>): Argv<T> {
  y.option("micro-batch", {
    type: "number",
    describe: "rows that go through the model together in each worker [default: as many as its memory holds]",
    coerce: (rows: number | undefined): number | undefined => {
      if (rows !== undefined && !(Number.isInteger(rows) && rows >= 1))
        throw new UserError(`--micro-batch ${rows}: expected a whole number from 1 up`);
      return rows;
    },
  });
  y.option("recompute", {
    choices: RECOMPUTE,
    default: "auto" as const,
    describe: "compute blocks again for their gradient, for a sixth more time and less memory: auto (where the memory is short), on, off",
  });
  return y;
}
