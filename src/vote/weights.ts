/** The weights of files to merge, as given on a command line. */
import { UserError } from "../errors.ts";

/**
 * One weight per file.
 *
 * @param text numbers from 0 up with commas between: "1,2.5"; 0 leaves a file out; without it each file counts 1
 * @throws UserError where a number is none, all are 0, or there are more or fewer than files
 */
export function parseWeights(text: string | undefined, files: number): number[] {
  if (text === undefined) return new Array<number>(files).fill(1);
  const parts = text.split(",").map((part) => part.trim());
  const wrong = parts.find((part) => !/^\d*\.?\d+(e[+-]?\d+)?$/i.test(part) || !(Number(part) < 1e9));
  if (wrong !== undefined) throw new UserError(`--weights ${text}: ${JSON.stringify(wrong)} is not a number from 0 up`);
  if (parts.length !== files)
    throw new UserError(`--weights ${text}: has ${parts.length} numbers for ${files} files; give one for each file`);
  const weights = parts.map(Number);
  if (weights.every((weight) => weight === 0)) throw new UserError(`--weights ${text}: leaves every file out`);
  return weights;
}
