/** What `npm run tensorflow` writes beside a binding: the library and the sources it was built from. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod";
import { writeFileAtomically } from "../files/atomic.ts";

const RECORD_FILE = "binding.json";

const recordSchema = z.object({
  version: z.literal(1),
  library: z.object({
    /** absolute path of the folder that goes into LD_LIBRARY_PATH */
    folder: z.string(),
    /** size of the library file, which an update in place changes */
    bytes: z.number(),
    /** TensorFlow's version as the library itself tells it */
    version: z.string(),
  }),
  /** SHA-256 over the binding's sources, the N-API headers and the compiler's arguments */
  sources: z.string(),
  /** SHA-256 of the binding */
  binding: z.string(),
});
export type BindingRecord = z.infer<typeof recordSchema>;

/** The record in a folder; undefined where there is none that can be read, which means: build again. */
export function readBindingRecord(folder: string): BindingRecord | undefined {
  try {
    return recordSchema.parse(JSON.parse(readFileSync(join(folder, RECORD_FILE), "utf8")));
  } catch {
    return undefined;
  }
}

export function writeBindingRecord(folder: string, record: BindingRecord): void {
  writeFileAtomically(join(folder, RECORD_FILE), `${JSON.stringify(record, null, 2)}\n`);
}
