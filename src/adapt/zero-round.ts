/** The first phase: predictions of the unadapted model, with its encoder's rows if it has one. They measure what a prediction costs, and are first real answers. */
import type { WorkerPool } from "../parallel/coordinator.ts";
import type { Prediction, PredictionItem } from "../parallel/job.ts";
import type { RunContext } from "./context.ts";
import { firstOfEach, itemsByCanvas, ownersOf } from "./items.ts";
import { isEncodedFirst } from "./setup.ts";

/** An unadapted round before training may take this share of what is left. */
const ZERO_ROUND_SHARE = 0.08;

/** What a few predictions on a canvas have told, and what of them is left to make. */
interface Measured {
  /** place of the canvas */
  readonly canvas: number;
  readonly asked: number;
  /** seconds on one worker */
  readonly perPrediction: number;
  readonly chunk: number;
  readonly rest: readonly PredictionItem[];
}

/** Seconds that the round is expected to take: all test inputs where that is cheap, else a few. */
export function zeroRoundSeconds({
  perPrediction,
  testInputs,
  workers,
  left,
}: Record<"perPrediction" | "testInputs" | "workers" | "left", number>): number {
  const whole = (perPrediction * testInputs) / workers;
  return whole < ZERO_ROUND_SHARE * left ? whole : 2 * perPrediction;
}

/**
 * Predicts with the unadapted model: one test input a worker to warm up, some more to measure, and all of them where a whole round is cheap.
 *
 * @returns seconds that a prediction takes on one worker, and on each canvas
 */
export async function zeroRound(context: RunContext, pool: WorkerPool): Promise<{ perPrediction: number; byCanvas: Map<number, number> }> {
  const { request, setup, clock, log, answers, progress, items, deadline, now } = context;
  answers.beginStage("unadapted");
  progress.phase("measure", deadline - clock.processStart);
  const workers = pool.alive.length;
  let spent = 0;
  let made = 0;
  const arrived = (predictions: readonly Prediction[], seconds: number): void => {
    spent += seconds;
    made += predictions.length;
    answers.count(predictions);
    progress.predicted({ made: answers.votes, of: items.length }, "first answers");
  };
  const owner = ownersOf(request);
  const base = { actSteps: setup.actSteps, owner, goOn: () => now() < deadline, arrived };
  const measure = async (canvas: number, asked: readonly PredictionItem[]): Promise<Measured> => {
    [spent, made] = [0, 0];
    // One test input each warms the engine up; its time is not what a prediction takes.
    const [probe, others] = firstOfEach(asked, 1, { owner, workers });
    await pool.predict(probe, { ...base, chunk: 1 });
    const warm = spent / Math.max(1, made);
    [spent, made] = [0, 0];
    const chunk = Math.min(setup.microBatch, Math.max(1, Math.floor(1 / Math.max(1e-3, warm))), Math.ceil(asked.length / workers));
    const [second, rest] = firstOfEach(others, chunk, { owner, workers });
    await pool.predict(second, { ...base, chunk });
    if (isEncodedFirst(request) || second.length === 0) {
      // Once more what was asked already: nothing is compiled for it, and the encoder has made its rows. Later predictions have rows of a table.
      [spent, made] = [0, 0];
      await pool.predict(second.length > 0 ? second : probe, { ...base, chunk });
    }
    return { canvas, asked: asked.length, perPrediction: made > 0 ? spent / made : warm, chunk, rest };
  };
  const measured: Measured[] = [];
  for (const [canvas, ofCanvas] of itemsByCanvas(items, setup.canvases)) measured.push(await measure(canvas, ofCanvas));
  const sum = (of: (each: Measured) => number): number => measured.reduce((total, each) => total + of(each), 0);
  const perPrediction =
    sum((each) => each.asked * each.perPrediction) /
    Math.max(
      1,
      sum((each) => each.asked),
    );
  const cost = sum((each) => each.perPrediction * each.rest.length) / workers;
  if (cost < ZERO_ROUND_SHARE * (deadline - now()))
    for (const { rest, chunk } of measured) if (rest.length > 0) await pool.predict(rest, { ...base, chunk });
  answers.write();
  log.emit(
    "info",
    "measured",
    `a prediction takes ${(perPrediction * 1000).toFixed(0)} ms at ${setup.actSteps} ACT steps; ${isEncodedFirst(request) ? "answers with the encoder's rows" : "unadapted answers"} to ${answers.votes} of ${items.length} test inputs`,
  );
  return { perPrediction, byCanvas: new Map(measured.map((each) => [each.canvas, each.perPrediction])) };
}
