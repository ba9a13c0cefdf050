/** Kinds that draw lines: from dots to an edge, through dots, between dots, on and on. */
import type { Grid } from "../arc/grid.ts";
import type { Random } from "../random.ts";
import { blankGrid, copyOf, DIAGONALS, DIRECTIONS, type Direction, gridOf, LINES, linesFrom, paint, stepOf } from "./cells.ts";
import { defineKind, type TaskKind } from "./kind.ts";
import { INKS, type Ink, inkColor, pickColors, placeDot } from "./scene.ts";

/** Dots on lines of their own, none with less than `room` cells between it and the side. */
function dotsFacing(random: Random, side: Direction, ink: Ink, room: number): Grid | undefined {
  const grid = blankGrid(random.int(4, 6), random.int(4, 6));
  const colors = pickColors(random, 3, ink === "own" ? [] : [ink]);
  const lines = random.shuffled(linesFrom(grid, side)).slice(0, random.int(1, 3));
  lines.forEach((line, i) => {
    grid.cells[line[random.int(room, line.length - 1)]!] = colors[i]!;
  });
  return grid;
}

const ray = defineKind({
  name: "ray",
  about: "every dot shoots a line to one side of the grid",
  parameters: { towards: DIRECTIONS, ink: INKS },
  scene: (random, { towards, ink }) => dotsFacing(random, towards, ink, 1),
  answer: (input, { towards, ink }) => {
    const output = copyOf(input);
    for (const line of linesFrom(input, towards)) {
      const dot = line.findIndex((cell) => input.cells[cell] !== 0);
      for (let i = 0; i < dot; i++) output.cells[line[i]!] = inkColor(ink, input.cells[line[dot]!]!);
    }
    return output;
  },
});

const project = defineKind({
  name: "project",
  about: "every dot leaves a mark at one side of the grid",
  parameters: { towards: DIRECTIONS, ink: INKS },
  scene: (random, { towards, ink }) => dotsFacing(random, towards, ink, 2),
  answer: (input, { towards, ink }) => {
    const output = copyOf(input);
    for (const line of linesFrom(input, towards)) {
      const dot = line.findIndex((cell) => input.cells[cell] !== 0);
      if (dot > 0) output.cells[line[0]!] = inkColor(ink, input.cells[line[dot]!]!);
    }
    return output;
  },
});

const diagonalRay = defineKind({
  name: "diagonal-ray",
  about: "every dot shoots a diagonal line to the edge",
  parameters: { towards: DIAGONALS, ink: INKS },
  scene: (random, { towards, ink }) => {
    const grid = blankGrid(random.int(4, 6), random.int(4, 6));
    const colors = pickColors(random, 2, ink === "own" ? [] : [ink]);
    const { row, col } = stepOf(towards);
    const onDiagonal = new Set<number>();
    for (let i = random.int(1, 2); i > 0; i--) {
      const dot = { row: random.int(0, grid.rows - 1), col: random.int(0, grid.cols - 1) };
      const end = { row: dot.row + 2 * row, col: dot.col + 2 * col };
      if (end.row < 0 || end.row >= grid.rows || end.col < 0 || end.col >= grid.cols) return undefined;
      const diagonal = dot.row * col - dot.col * row;
      if (onDiagonal.has(diagonal)) return undefined;
      onDiagonal.add(diagonal);
      paint(grid, dot.row, dot.col, colors[i - 1]!);
    }
    return grid;
  },
  answer: (input, { towards, ink }) => {
    const output = copyOf(input);
    const step = stepOf(towards);
    input.cells.forEach((own, i) => {
      if (own === 0) return;
      let [row, col] = [Math.floor(i / input.cols), i % input.cols];
      while (row >= 0 && row < input.rows && col >= 0 && col < input.cols) {
        row += step.row;
        col += step.col;
        paint(output, row, col, inkColor(ink, own));
      }
    });
    return output;
  },
});

/** Draws the row, the column or both of every dot, the dots themselves untouched. */
function linesThroughDots(input: Grid, ink: Ink, rows: boolean, cols: boolean): Grid {
  const output = copyOf(input);
  input.cells.forEach((own, i) => {
    if (own === 0) return;
    const [row, col] = [Math.floor(i / input.cols), i % input.cols];
    const color = inkColor(ink, own);
    if (rows) for (let c = 0; c < input.cols; c++) if (input.cells[row * input.cols + c] === 0) paint(output, row, c, color);
    if (cols) for (let r = 0; r < input.rows; r++) if (input.cells[r * input.cols + col] === 0) paint(output, r, col, color);
  });
  return output;
}

const fullLine = defineKind({
  name: "full-line",
  about: "the row or column of every dot is drawn",
  parameters: { lines: LINES, ink: INKS },
  scene: (random, { lines, ink }) => dotsFacing(random, lines === "rows" ? "left" : "up", ink, 0),
  answer: (input, { lines, ink }) => linesThroughDots(input, ink, lines === "rows", lines === "cols"),
});

const cross = defineKind({
  name: "cross",
  about: "the row and the column of the dot are drawn",
  parameters: { ink: INKS },
  scene: (random, { ink }) => {
    const grid = blankGrid(random.int(4, 6), random.int(4, 6));
    placeDot(random, grid, pickColors(random, 1, ink === "own" ? [] : [ink])[0]!);
    return grid;
  },
  answer: (input, { ink }) => linesThroughDots(input, ink, true, true),
});

const connect = defineKind({
  name: "connect",
  about: "two dots of one colour on a line are joined",
  parameters: { ink: INKS },
  scene: (random, { ink }) => {
    const grid = blankGrid(random.int(4, 6), random.int(4, 6));
    const colors = pickColors(random, 4, ink === "own" ? [] : [ink]);
    const lines = random.shuffled(linesFrom(grid, random.pick(["left", "up"] as const)));
    const pairs = random.int(1, 2);
    lines.slice(0, pairs).forEach((line, i) => {
      const first = random.int(0, line.length - 3);
      const second = random.int(first + 2, line.length - 1);
      for (const end of [first, second]) grid.cells[line[end]!] = colors[i]!;
    });
    const lonely = lines.slice(pairs, pairs + random.int(0, 2)); // dots without a partner stay alone
    lonely.forEach((line, i) => {
      grid.cells[random.pick(line)] = colors[pairs + i]!;
    });
    return grid;
  },
  answer: (input, { ink }) => {
    const output = copyOf(input);
    for (const line of [...linesFrom(input, "left"), ...linesFrom(input, "up")]) {
      let last = -1;
      line.forEach((cell, i) => {
        const own = input.cells[cell]!;
        if (own === 0) return;
        if (last >= 0 && input.cells[line[last]!] === own) for (let j = last + 1; j < i; j++) output.cells[line[j]!] = inkColor(ink, own);
        last = i;
      });
    }
    return output;
  },
});

const continuePattern = defineKind({
  name: "continue-pattern",
  about: "stripes that begin at one side go on to the other",
  parameters: { start: DIRECTIONS, period: [2, 3] },
  scene: (random, { start, period }) => {
    const [length, width] = [random.int(6, 7), random.int(1, 3)];
    const upright = start === "up" || start === "down";
    const colors = pickColors(random, 3);
    const unit = gridOf(period, width, () => random.pick(colors));
    const same = (a: number, b: number): boolean =>
      Array.from({ length: width }, (_, i) => i).every((i) => unit.cells[a * width + i] === unit.cells[b * width + i]);
    for (let i = 1; i < period; i++) if (same(0, i)) return undefined; // each stripe group must show its period
    const given = random.int(period + 1, length - 2);
    const grid = blankGrid(upright ? length : width, upright ? width : length);
    linesFrom(grid, start).forEach((line, w) => {
      for (let i = 0; i < given; i++) grid.cells[line[i]!] = unit.cells[(i % period) * width + w]!;
    });
    return grid;
  },
  answer: (input, { start, period }) => {
    const output = copyOf(input);
    for (const line of linesFrom(input, start)) {
      for (const [i, cell] of line.entries()) output.cells[cell] = input.cells[line[i % period]!]!;
    }
    return output;
  },
});

/** Lines from, through and between dots. */
export const LINE_KINDS: readonly TaskKind[] = [ray, project, diagonalRay, fullLine, cross, connect, continuePattern];
