/** Kinds about the inside, the edge and the surroundings of objects. */
import type { Grid } from "../arc/grid.ts";
import type { Random } from "../random.ts";
import { blankGrid, colorAt, copyOf, objectsOf, paint, recolored } from "./cells.ts";
import { defineKind, type TaskKind } from "./kind.ts";
import { COLORS, chance, drawShape, frame, pickColors, picture, place, placeDot, rectangle } from "./scene.ts";

/** One or two solid rectangles that do not touch. */
function rectangles(random: Random, minSide: number, maxSide: number, except: readonly number[]): Grid | undefined {
  const grid = blankGrid(random.int(5, 7), random.int(5, 7));
  const side = (): number => random.int(minSide, maxSide);
  const colors = pickColors(random, 2, except);
  if (!place(random, grid, rectangle(side(), side()), colors[0]!)) return undefined;
  if (chance(random, 0.5)) place(random, grid, rectangle(side(), side()), colors[1]!);
  return grid;
}

const fillEnclosed = defineKind({
  name: "fill-enclosed",
  about: "the inside of closed frames takes a colour",
  parameters: { color: COLORS },
  scene: (random, { color }) => {
    const grid = blankGrid(random.int(5, 7), random.int(5, 7));
    const [ink, other] = pickColors(random, 2, [color]) as [number, number];
    if (!place(random, grid, frame(random.int(3, 5), random.int(3, 5)), ink)) return undefined;
    if (chance(random, 0.4)) {
      const open = frame(3, 3); // a decoy: open at one side
      place(random, grid, chance(random, 0.5) ? open : open.filter((cell) => cell.row !== 1 || cell.col !== 2), other);
    }
    if (chance(random, 0.4)) placeDot(random, grid, other);
    return grid;
  },
  answer: (input, { color }) => {
    const outside = new Uint8Array(input.cells.length);
    const reach = (row: number, col: number): void => {
      const cell = row * input.cols + col;
      if (colorAt(input, row, col) !== 0 || outside[cell]) return;
      outside[cell] = 1;
      reach(row - 1, col);
      reach(row + 1, col);
      reach(row, col - 1);
      reach(row, col + 1);
    };
    for (let row = 0; row < input.rows; row++) for (const col of [0, input.cols - 1]) reach(row, col);
    for (let col = 0; col < input.cols; col++) for (const row of [0, input.rows - 1]) reach(row, col);
    return recolored(input, (old, row, col) => (old === 0 && !outside[row * input.cols + col] ? color : old));
  },
});

const hollow = defineKind({
  name: "hollow",
  about: "the inside of solid rectangles takes a colour or disappears",
  parameters: { color: [0, ...COLORS] },
  scene: (random, { color }) => rectangles(random, 3, 5, [color]),
  answer: (input, { color }) =>
    recolored(input, (old, row, col) => {
      if (old === 0) return 0;
      for (let r = -1; r <= 1; r++) for (let c = -1; c <= 1; c++) if (colorAt(input, row + r, col + c) !== old) return old;
      return color;
    }),
});

const outline = defineKind({
  name: "outline",
  about: "the free cells around objects take a colour, with or without the corners",
  parameters: { corners: ["with", "without"], color: COLORS },
  scene: (random, { color }) => {
    const grid = blankGrid(random.int(5, 7), random.int(5, 7));
    const colors = pickColors(random, 2, [color]);
    for (let i = random.int(1, 2); i > 0; i--) {
      const shape = chance(random, 0.5) ? rectangle(1, 1) : rectangle(random.int(1, 2), random.int(1, 3));
      place(random, grid, shape, colors[i - 1]!, 2);
    }
    return grid;
  },
  answer: (input, { corners, color }) =>
    recolored(input, (old, row, col) => {
      if (old !== 0) return old;
      for (let r = -1; r <= 1; r++) {
        for (let c = -1; c <= 1; c++) {
          if ((corners === "with" || r === 0 || c === 0) && colorAt(input, row + r, col + c) > 0) return color;
        }
      }
      return 0;
    }),
});

const border = defineKind({
  name: "border",
  about: "the outermost cells of the grid take a colour",
  parameters: { color: COLORS },
  scene: (random, { color }) => picture(random, random.int(4, 6), random.int(4, 6), pickColors(random, random.int(1, 2), [color])),
  answer: (input, { color }) =>
    recolored(input, (old, row, col) => (row === 0 || col === 0 || row === input.rows - 1 || col === input.cols - 1 ? color : old)),
});

const fillBox = defineKind({
  name: "fill-box",
  about: "objects are filled up to rectangles with a colour",
  parameters: { color: COLORS },
  scene: (random, { color }) => {
    const grid = blankGrid(random.int(5, 7), random.int(5, 7));
    const colors = pickColors(random, 2, [color]);
    const count = random.int(1, 2);
    for (let i = 0; i < count; i++) if (!place(random, grid, drawShape(random, random.int(3, 5)), colors[i]!)) return undefined;
    const objects = objectsOf(grid);
    const boxed = (object: (typeof objects)[number]): number => (object.bottom - object.top + 1) * (object.right - object.left + 1);
    if (objects.some((object) => boxed(object) === object.cells.length)) return undefined;
    const [a, b] = objects;
    const apart = !a || !b || a.bottom + 1 < b.top || b.bottom + 1 < a.top || a.right + 1 < b.left || b.right + 1 < a.left;
    return apart ? grid : undefined;
  },
  answer: (input, { color }) => {
    const output = copyOf(input);
    for (const { top, left, bottom, right } of objectsOf(input)) {
      for (let row = top; row <= bottom; row++) {
        for (let col = left; col <= right; col++) if (colorAt(input, row, col) === 0) paint(output, row, col, color);
      }
    }
    return output;
  },
});

const markCorners = defineKind({
  name: "mark-corners",
  about: "the corners of solid rectangles take a colour",
  parameters: { color: COLORS },
  scene: (random, { color }) => rectangles(random, 3, 5, [color]),
  answer: (input, { color }) => {
    const output = copyOf(input);
    for (const { top, left, bottom, right } of objectsOf(input)) {
      for (const row of [top, bottom]) for (const col of [left, right]) paint(output, row, col, color);
    }
    return output;
  },
});

/** Inside, edge and surroundings of objects. */
export const SHAPE_KINDS: readonly TaskKind[] = [fillEnclosed, hollow, outline, border, fillBox, markCorners];
