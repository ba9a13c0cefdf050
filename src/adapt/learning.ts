/** What a run notes of its training on the way: now and then, and never for more than a hundredth of its time. */
import { messageOf } from "../errors.ts";
import type { LearningFile } from "../metrics/learning-file.ts";
import type { WorkerPool } from "../parallel/coordinator.ts";
import { learningPoint } from "../parallel/learning-point.ts";
import type { RunContext } from "./context.ts";

const MOST_SHARE = 0.01;

/** Notes how a training comes along; see `metrics/learning-file.ts`. */
export class LearningNotes {
  readonly file: LearningFile;
  #noted = 0;
  #took = 0;

  constructor(file: LearningFile) {
    this.file = file;
  }

  /** Asks the workers and notes what they tell. @param last whatever it costs */
  async note({ clock, log }: Pick<RunContext, "clock" | "log">, pool: WorkerPool, last = false): Promise<void> {
    const began = clock.now();
    if (!last && this.#took > MOST_SHARE * (began - this.#noted)) return;
    try {
      const point = learningPoint(await pool.diagnose(), began);
      if (point) this.file.add(point);
    } catch (error) {
      log.emit("debug", "learning", `nothing was noted of the training: ${messageOf(error)}`); // the next stretch tells of what was lost
    }
    this.#noted = clock.now();
    this.#took = this.#noted - began;
  }
}
