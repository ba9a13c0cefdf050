/** Signals that end a command in order, and what its exit status then tells. */
import { constants } from "node:os";

export const ENDING_SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** Exit status of a command that a signal ended. */
export function statusOf(signal: NodeJS.Signals): number {
  return 128 + constants.signals[signal];
}
