/** The README.md of a pre-trained checkpoint. */
import { basename } from "node:path";
import { formatDuration } from "../budget/duration.ts";
import type { PretrainRequest } from "./request.ts";

/** How a checkpoint came to be; kept in its config.json. */
export interface PretrainingRecord {
  readonly recipe: string;
  readonly dataSets: readonly string[];
  readonly steps: number;
  readonly seed: string;
  readonly command: string;
  readonly trainedCanvas: number;
  readonly hours: number;
  readonly lmLoss: number;
  readonly exactAccuracy: number;
  readonly [field: string]: unknown;
}

/** The model card's text. */
export function modelCard({ out, files, settings, from, seed, command }: PretrainRequest, record: PretrainingRecord): string {
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
    `command: \`${command}\``,
    `seed ${seed}, ${record.steps} optimizer steps of ${settings.batchSize} examples in ${formatDuration(record.hours * 3600)}`,
    `at the end: training loss ${record.lmLoss.toFixed(4)}, exact ${(100 * record.exactAccuracy).toFixed(1)} % of finished training samples (raw weights)`,
    ...(from === undefined ? [] : ["went on from another checkpoint: see the command"]),
  ];
  return `# ${basename(out)}

A tiny recursive model for canvases of ${settings.canvas} cells a side.

${lines.map((line) => `- ${line}`).join("\n")}
`;
}
