/** What the notebook of a bundle passes to `run`. */
import { adaptationOf } from "../checkpoint/load.ts";
import { shellWord } from "../cluster/slurm.ts";

/** As the notebook has them. */
const WRITTEN = "--preset paper-as-released";

/** Options of `run` for a checkpoint where none are asked for: none where it has settings of its own, else those of the paper's code. */
export function optionsFor(checkpoint: string): readonly string[] {
  return adaptationOf(checkpoint) === undefined ? WRITTEN.split(" ") : [];
}

/** The notebook's text with these options of `run` in its first cell. @throws Error where that has no place for them */
export function withOptions(notebook: string, options: readonly string[]): string {
  const place = (words: string): string => JSON.stringify(`setting("OPTIONS", ${JSON.stringify(words)})`).slice(1, -1);
  if (!notebook.includes(place(WRITTEN))) throw new Error(`the notebook's settings don't hold ${place(WRITTEN)}`);
  return notebook.replace(place(WRITTEN), () => place(options.map(shellWord).join(" ")));
}
