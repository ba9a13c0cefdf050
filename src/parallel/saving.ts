/** What a worker writes of a training: a checkpoint, and the state to go on from. */
import { type StagedCheckpoint, stageCheckpoint } from "../checkpoint/save.ts";
import type { FileRecords } from "../checkpoint/staged-files.ts";
import { saveTrainingState, stageCarry } from "../checkpoint/training-state.ts";
import { CODE_COUNT, FIRST_CODE_ID, isCode } from "../data/augmentation-codes.ts";
import type { Example } from "../encode/batch.ts";
import { ENCODED } from "../encode/demonstrations.ts";
import { nameFlat } from "../model/parameters.ts";
import { type PuzzleEmbedding, rowStatistics } from "../model/puzzle-embedding.ts";
import type { TrainingLoop } from "../train/loop.ts";
import type { Replica } from "../train/replica.ts";
import { carryPartOf, trainingStateOf } from "../train/resume.ts";
import type { TrainedEncoder } from "../train/trained-encoder.ts";
import type { Command, Job } from "./job.ts";

/** A training under way. */
export interface Training {
  readonly job: Job;
  readonly replica: Replica;
  readonly loop: TrainingLoop;
  /** float32[E]: what new puzzle rows begin with */
  readonly rowStart: Float32Array;
  /** float32[CODE_COUNT * E]: codes of augmentations that new puzzle rows begin with, where there are any */
  readonly startCodes?: Float32Array | undefined;
  /** the stream of examples */
  exampleAt(index: number): Example;
}

/** Examples whose rows stand for all that an encoder makes, where the table has none. */
const ENCODED_SAMPLE = 256;

/** Writes this rank's rows of the batch into the folder of a training state; they count once the state is saved with what this returns. */
export async function stageRows({ replica }: Training, stateFolder: string): Promise<FileRecords> {
  return stageCarry(stateFolder, replica.slice.first, await carryPartOf(replica));
}

/** Writes a checkpoint and, where its folder is given, the training state: both count from the same instant on. */
export async function saveTraining(training: Training, command: Extract<Command, { kind: "save" }>): Promise<void> {
  const { replica, loop, rowStart, startCodes } = training;
  const checkpoint = await stageTrunk(training, command);
  if (command.state === undefined) return checkpoint.place();
  const carry = { ...command.staged, ...(await stageRows(training, command.state)) };
  const { draws, plannedSteps } = loop;
  const state = await trainingStateOf(replica, { draws, plannedSteps, rowStart, startCodes, record: command.record ?? {} });
  saveTrainingState(command.state, state, { carry, checkpoint });
}

async function encoderWeights(trained: TrainedEncoder): Promise<ReturnType<typeof nameFlat>> {
  return nameFlat((await trained.read()).ema, trained.encoder.layout);
}

/** Rows of the table that were trained, but for codes of augmentations. */
function* learnedRows(rows: PuzzleEmbedding): Generator<Float32Array> {
  for (const id of rows.touched()) if (!isCode(id)) yield rows.gather([id]);
}

/** Rows that the encoder makes now, one for each of the first examples. */
function* encodedRows(encoder: TrainedEncoder, size: number, exampleAt: (index: number) => Example): Generator<Float32Array> {
  for (let index = 0; index < ENCODED_SAMPLE; index++) {
    const row = new Float32Array(size);
    encoder.make(row, { ids: [ENCODED], demonstrationsOf: (_, atMost) => exampleAt(index).demonstrate?.(atMost) }, true);
    yield row;
  }
}

async function stageTrunk(
  { job, replica, rowStart, exampleAt }: Training,
  { folder, notes }: Extract<Command, { kind: "save" }>,
): Promise<StagedCheckpoint> {
  const { hInit, lInit } = await replica.buffers();
  const { model, fullCanvas, data } = job;
  const trunk = new Map<string, { shape: number[]; data: Float32Array }>([
    ["H_init", { shape: [model.hiddenSize], data: hInit }],
    ["L_init", { shape: [model.hiddenSize], data: lInit }],
    ...nameFlat(replica.averagedTrunk(), replica.layout),
  ]);
  const { rows } = replica;
  const onlyEncoded = replica.encoder !== undefined && rows.touched().length === 0;
  const all = onlyEncoded ? encodedRows(replica.encoder, rows.size, exampleAt) : learnedRows(rows);
  const statistics = rowStatistics(all, rows.size);
  // Where the trunk was trained on rows that begin at a fixed start, that is the one that it knows.
  const mean = data.kind === "pretraining" && data.lives && !onlyEncoded ? rowStart : statistics.mean;
  const codes = data.factored && rows.peek(Array.from({ length: CODE_COUNT }, (_, code) => FIRST_CODE_ID + code));
  const puzzleEmbedding = { ...statistics, mean, ...(codes && { codes }) };
  const encoder = replica.encoder && { config: replica.encoder.encoder.config, weights: await encoderWeights(replica.encoder) };
  return stageCheckpoint(folder, {
    config: {
      format: "trm",
      formatVersion: 1,
      model,
      canvas: fullCanvas,
      training: { recipe: "", dataSets: [], steps: replica.step, ...notes.training },
      ...(encoder && { encoder: encoder.config }),
      ...(notes.adaptation && { adaptation: notes.adaptation }),
    },
    ...(encoder && { encoder: encoder.weights }),
    trunk,
    puzzleEmbedding,
    modelCard: notes.card,
  });
}
