/** Kinds about moving objects or the whole picture. */
import type { Grid } from "../arc/grid.ts";
import { blankGrid, DIRECTIONS, type Direction, gridOf, linesFrom, shifted, stepOf } from "./cells.ts";
import { defineKind, type TaskKind } from "./kind.ts";
import { COLORS, chance, drawShape, pickColors, picture, place, rectangle, scatter } from "./scene.ts";

const STEPS = [-2, -1, 0, 1, 2] as const;

const moveObject = defineKind({
  name: "move-object",
  about: "move the object by a fixed step",
  parameters: { down: STEPS, across: STEPS },
  allowed: ({ down, across }) => down !== 0 || across !== 0,
  scene: (random, { down, across }) => {
    const grid = blankGrid(random.int(5, 7), random.int(5, 7));
    const shape = chance(random, 0.25) ? rectangle(random.int(1, 2), random.int(1, 3)) : drawShape(random, random.int(2, 5));
    place(random, grid, shape, random.pick(COLORS));
    const countOf = (g: Grid): number => g.cells.reduce((sum, color) => sum + (color > 0 ? 1 : 0), 0);
    return countOf(shifted(grid, down, across)) === shape.length ? grid : undefined;
  },
  answer: (input, { down, across }) => shifted(input, down, across),
});

const shift = defineKind({
  name: "shift",
  about: "move the whole picture; what leaves is lost and the free space is empty",
  parameters: { direction: DIRECTIONS, by: [1, 2] },
  scene: (random) => picture(random, random.int(4, 6), random.int(4, 6), pickColors(random, random.int(2, 3))),
  answer: (input, { direction, by }) => shifted(input, by * stepOf(direction).row, by * stepOf(direction).col),
});

const roll = defineKind({
  name: "roll",
  about: "move the whole picture; what leaves comes back on the other side",
  parameters: { down: STEPS, across: STEPS },
  allowed: ({ down, across }) => (down === 0) !== (across === 0) || (Math.abs(down) === 1 && Math.abs(across) === 1),
  scene: (random) => picture(random, random.int(5, 6), random.int(5, 6), pickColors(random, random.int(2, 3))),
  answer: ({ rows, cols, cells }, { down, across }) =>
    gridOf(rows, cols, (r, c) => cells[((r - down + rows) % rows) * cols + ((c - across + cols) % cols)]!),
});

const gravity = defineKind({
  name: "gravity",
  about: "every cell falls towards one side and piles up",
  parameters: { towards: DIRECTIONS },
  scene: (random) =>
    scatter(random, random.int(4, 6), random.int(4, 6), pickColors(random, random.int(1, 3)), 0.2 + 0.2 * random.uniform()),
  answer: (input, { towards }) => {
    const output = blankGrid(input.rows, input.cols);
    for (const line of linesFrom(input, towards)) {
      let height = 0;
      for (const cell of line) if (input.cells[cell] !== 0) output.cells[line[height++]!] = input.cells[cell]!;
    }
    return output;
  },
});

/** The object of a colour pushed as far as it goes towards a side. */
function slid(input: Grid, color: number, towards: Direction): Grid {
  const lines = linesFrom(input, towards);
  const room = Math.min(...lines.map((line) => line.findIndex((cell) => input.cells[cell] === color)).filter((free) => free >= 0));
  if (!Number.isFinite(room)) return input;
  const output: Grid = { ...input, cells: input.cells.map((old) => (old === color ? 0 : old)) };
  for (const line of lines) for (const [i, cell] of line.entries()) if (input.cells[cell] === color) output.cells[line[i - room]!] = color;
  return output;
}

const slide = defineKind({
  name: "slide",
  about: "push the object of one colour to a side; the other stays",
  parameters: { color: COLORS, towards: DIRECTIONS },
  scene: (random, { color, towards }) => {
    const grid = blankGrid(random.int(5, 7), random.int(5, 7));
    const other = pickColors(random, 1, [color])[0]!;
    if (!place(random, grid, drawShape(random, random.int(2, 4), 2), color)) return undefined;
    if (!place(random, grid, drawShape(random, random.int(2, 4), 2), other)) return undefined;
    // Nothing may be in the way, else the rule would not say what happens.
    const { row, col } = stepOf(towards);
    const alone: Grid = { ...grid, cells: grid.cells.map((cell) => (cell === color ? color : 0)) };
    for (let by = 1; by < Math.max(grid.rows, grid.cols); by++) {
      if (shifted(alone, by * row, by * col).cells.some((cell, i) => cell === color && grid.cells[i] === other)) return undefined;
    }
    return grid;
  },
  answer: (input, { color, towards }) => slid(input, color, towards),
});

/** Moving objects or everything. */
export const MOTION_KINDS: readonly TaskKind[] = [moveObject, shift, roll, gravity, slide];
