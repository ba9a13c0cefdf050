/** What a training state says of the run that it is from: settings, files and seed, so that `--resume` alone goes on with them. */
import { join } from "node:path";
import { loadTrainingRecord } from "../checkpoint/training-state.ts";
import { UserError } from "../errors.ts";
import type { Metrics } from "../metrics/metrics-file.ts";
import type { ModelConfig } from "../model/config.ts";
import type { EncoderConfig } from "../model/encoder-config.ts";
import type { EarlierStage } from "./model-card.ts";
import type { TaskFiles } from "./tasks.ts";

/** The record in a training state. States of earlier versions lack some of it. */
export interface SavedRun {
  readonly step: number;
  readonly settings?: Readonly<Record<string, unknown>> | undefined;
  readonly recipe?: string | undefined;
  readonly files?: TaskFiles | undefined;
  readonly seed?: string | undefined;
  /** command lines so far: of the training's beginning, and of each time that it was taken up again */
  readonly commands?: readonly string[] | undefined;
  readonly model?: ModelConfig | undefined;
  /** of the encoder that was trained too */
  readonly encoder?: EncoderConfig | undefined;
  /** steps of the course, where it had a length */
  readonly maxSteps?: number | undefined;
  /** seconds trained */
  readonly seconds?: number | undefined;
  /** what the checkpoint had behind it that training went on from */
  readonly earlier?: readonly EarlierStage[] | undefined;
  /** the last one, where there were any */
  readonly evaluation?: { readonly step: number; readonly metrics: Metrics } | undefined;
  /** settings that suit the checkpoint's adaptation */
  readonly adaptation?: Readonly<Record<string, unknown>> | undefined;
  /** hash of what puzzle ids stand for */
  readonly puzzles?: string | undefined;
}

/** The folder of a training state: the one given, or `state` in a run folder. */
export function stateFolder(given: string): string {
  const inside = join(given, "state");
  return !loadTrainingRecord(given) && loadTrainingRecord(inside) ? inside : given;
}

/** @throws UserError where there is no training state */
export function loadSavedRun(folder: string): SavedRun {
  const record = loadTrainingRecord(folder);
  if (!record) throw new UserError(`${folder}: no training state here to resume`);
  return record as unknown as SavedRun;
}
