/** The curves of a training in its run folder: `metrics.jsonl`, a JSON object a line, and TensorBoard's files in `tensorboard/`. */
import { appendFileSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomically } from "../files/atomic.ts";
import { EventFile } from "./event-file.ts";

const METRICS_FILE = "metrics.jsonl";

/** Curves by name, with a group before a slash: `train/loss`. */
export type Metrics = Readonly<Record<string, number>>;

/** Appends the points of one run; a file that can't be written any more is given up, the run goes on. */
export class MetricsFile {
  readonly #path: string;
  readonly #events: EventFile;
  readonly #now: () => number;
  readonly #failed: (error: Error) => void;
  #open = true;

  /**
   * @param step   a training that is taken up again here: what the files hold of later steps is taken out, it will come again
   * @param now    Unix seconds
   * @param failed told once, where the files can't be written any more
   */
  constructor(folder: string, step: number, now: () => number, failed: (error: Error) => void) {
    mkdirSync(folder, { recursive: true });
    this.#path = join(folder, METRICS_FILE);
    if (existsSync(this.#path)) dropLater(this.#path, step);
    this.#events = new EventFile(join(folder, "tensorboard"), step, now());
    this.#now = now;
    this.#failed = failed;
  }

  /** Adds a point to each of these curves; numbers that are not finite are left out. */
  add(step: number, metrics: Metrics): void {
    if (!this.#open) return;
    const finite = Object.fromEntries(Object.entries(metrics).filter(([, value]) => Number.isFinite(value)));
    try {
      appendFileSync(this.#path, `${JSON.stringify({ step, time: this.#now(), ...finite })}\n`);
      this.#events.add(step, finite, this.#now());
    } catch (error) {
      this.#open = false;
      this.#failed(error as Error);
    }
  }
}

/** Takes out lines of steps after `step`, and a last line that was cut off: what comes after will come again. */
export function dropLater(path: string, step: number): void {
  const kept = readFileSync(path, "utf8")
    .split("\n")
    .filter((line) => {
      try {
        return (JSON.parse(line) as { step: number }).step <= step;
      } catch {
        return false;
      }
    });
  writeFileAtomically(path, kept.map((line) => `${line}\n`).join(""));
}
