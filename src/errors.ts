/** Error classes that decide the exit status: the reader's to fix (1) or a bug of ours (70). */

/** Something the reader can fix. Printed as its message alone, exit status 1. */
export class UserError extends Error {
  override readonly name = "UserError";
}

/** A `UserError` that carries every problem of one input, so that all can be mended in one go. */
export class InputError extends UserError {
  /**
   * @param where    file or option that is wrong
   * @param problems one sentence each, at least one, without the file's name
   */
  constructor(
    readonly where: string,
    readonly problems: readonly string[],
  ) {
    super(
      problems.length === 1
        ? `${where}: ${problems[0]}`
        : `${where}: ${problems.length} problems\n${problems.map((problem) => `  - ${problem}`).join("\n")}`,
    );
  }
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
