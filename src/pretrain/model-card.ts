/** The README.md of a pre-trained checkpoint. */
import { basename } from "node:path";
import { formatDuration } from "../budget/duration.ts";
import type { Metrics } from "../metrics/metrics-file.ts";
import type { PretrainRequest } from "./request.ts";

/** A training whose checkpoint a later one went on from, by --from. Checkpoints of other tools lack some of it. */
export interface EarlierStage {
  readonly steps: number;
  readonly hours?: number | undefined;
  readonly recipe?: string | undefined;
  readonly command?: string | undefined;
}

/** What a checkpoint has behind it, the first stage first. @param training its own record, as its config has it */
export function stagesOf(training: Readonly<Record<string, unknown>>): EarlierStage[] {
  const { earlier, steps, hours, recipe, command } = training;
  const text = (value: unknown): string | undefined => (typeof value === "string" && value !== "" ? value : undefined);
  const own = {
    steps: steps as number,
    hours: typeof hours === "number" ? hours : undefined,
    recipe: text(recipe),
    command: text(command),
  };
  return [...(Array.isArray(earlier) ? (earlier as EarlierStage[]) : []), own];
}

/** How a checkpoint came to be; kept in its config.json. */
export interface PretrainingRecord {
  readonly recipe: string;
  readonly dataSets: readonly string[];
  /** of the last stage, as all that follows */
  readonly steps: number;
  readonly seed: string;
  readonly command: string;
  readonly earlier: readonly EarlierStage[];
  readonly trainedCanvas: number;
  readonly hours: number;
  readonly lmLoss: number;
  readonly exactAccuracy: number;
  /** what it was trained on */
  readonly machine: string;
  /** the last one, where there were any */
  readonly evaluation?: { readonly step: number; readonly metrics: Metrics };
  readonly [field: string]: unknown;
}

/** The model card's text. */
export function modelCard({ out, files, settings, seed }: PretrainRequest, record: PretrainingRecord): string {
  const names = (paths: readonly string[]): string => paths.map((path) => basename(path)).join(", ");
  const lines = [
    `data: ${record.dataSets.join("; ")}; held-out kinds and reserved rules and scenes of generated tasks were never shown`,
    ...(files.heldOut.length > 0 ? [`cleaned of every task that overlaps with ${names(files.heldOut)}`] : []),
    ...(files.evaluation.length > 0
      ? [
          `of ${names(files.evaluation)}: the tests of ${settings.evaluationTrained} tasks were trained on, ${settings.evaluationHeldOut} tasks were left out, of the others the demonstrations were trained on`,
        ]
      : []),
    ...(record.recipe === "" ? [] : [`recipe: ${record.recipe}`]),
    `command: \`${record.command}\``,
    `seed ${seed}, ${record.steps} optimizer steps of ${settings.batchSize} examples in ${formatDuration(record.hours * 3600)}`,
    ...(Number.isFinite(record.lmLoss)
      ? [
          `at the end: training loss ${record.lmLoss.toFixed(4)}, exact ${(100 * record.exactAccuracy).toFixed(1)} % of finished training samples (raw weights)`,
        ]
      : []),
    ...(record.evaluation ? [describeEvaluation(record.evaluation)] : []),
    `machine: ${record.machine}`,
    ...record.earlier.map((stage, i) => `stage ${i + 1} of ${record.earlier.length + 1}, before that: ${describeStage(stage)}`),
    ...(record.earlier.length > 0
      ? [`in all: ${formatDuration(3600 * [...record.earlier, record].reduce((sum, { hours = 0 }) => sum + hours, 0))}`]
      : []),
  ];
  return `# ${basename(out)}

A tiny recursive model for canvases of ${settings.canvas} cells a side.

${lines.map((line) => `- ${line}`).join("\n")}
`;
}

function describeEvaluation({ step, metrics }: NonNullable<PretrainingRecord["evaluation"]>): string {
  const shares = Object.entries<number>(metrics).filter(([name]) => /^(evaluation|zero-shot)\/(exact|trained-exact|pass@\d+)$/.test(name));
  return `evaluated at step ${step}: ${shares.map(([name, share]) => `${name} ${(100 * share).toFixed(1)} %`).join(", ")}`;
}

function describeStage({ steps, hours, recipe, command }: EarlierStage): string {
  const parts = [
    `${steps} optimizer steps`,
    hours !== undefined && formatDuration(hours * 3600),
    recipe !== undefined && `recipe ${recipe}`,
    command !== undefined && `\`${command}\``,
  ];
  return parts.filter((part) => part !== false).join(", ");
}
