/** Options that count something. */
import { UserError } from "../errors.ts";

/** The option's value, if it is given. @throws UserError for what is no whole number from `least` up */
export function wholeNumber<N extends number | undefined>(option: string, value: N, least: number): N {
  if (value !== undefined && !(Number.isInteger(value) && value >= least))
    throw new UserError(`${option} ${value}: expected a whole number from ${least} up`);
  return value;
}
