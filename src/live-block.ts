/** Lines at the foot of a terminal that are renewed in place, with others printed above them. */

/** A terminal that the block is drawn on. */
export interface Terminal {
  write(text: string): void;
  /** cells in a line, and lines, as they are now */
  readonly columns: number;
  readonly rows: number;
}

/** Up so many lines, to the first column, and everything from there on cleared. ECMA-48: CPL, ED. */
const CLEAR = (lines: number): string => (lines === 0 ? "" : `\u001b[${lines}F\u001b[0J`);

export class LiveBlock {
  readonly #terminal: Terminal;
  #lines: readonly string[] = [];
  /** lines that stand at the foot now */
  #drawn = 0;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  /** Puts these lines in the block's place; none takes it away. Plain text: lines are cut to the terminal's width, the last ones to its height. */
  show(lines: readonly string[]): void {
    if (lines.length === this.#lines.length && lines.every((line, i) => line === this.#lines[i])) return;
    this.#lines = lines;
    this.#draw("");
  }

  /** Prints a line above the block. */
  print(line: string): void {
    this.#draw(`${line}\n`);
  }

  #draw(above: string): void {
    const { columns, rows } = this.#terminal;
    const lines = this.#lines.slice(0, Math.max(1, rows - 2)).map((line) => `${line.slice(0, Math.max(1, columns - 1))}\n`);
    this.#terminal.write(`${CLEAR(this.#drawn)}${above}${lines.join("")}`); // in one piece, so that nothing flickers
    this.#drawn = lines.length;
  }
}
