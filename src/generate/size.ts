/** Kinds whose answer has another size: cut out, enlarge, frame, halve, overlay. */
import type { Grid } from "../arc/grid.ts";
import type { Random } from "../random.ts";
import { blankGrid, boxOf, cutOut, gridOf, LINES, type Lines, recolored } from "./cells.ts";
import { defineKind, type TaskKind } from "./kind.ts";
import { COLORS, drawShape, pickColors, place, scatter } from "./scene.ts";

/** The rectangle around the cells of the wanted colours; the whole grid if there are none. */
function cropped(input: Grid, wanted: (color: number) => boolean): Grid {
  const box = boxOf(input, wanted);
  return box ? cutOut(input, box.top, box.left, box.bottom - box.top + 1, box.right - box.left + 1) : input;
}

const crop = defineKind({
  name: "crop",
  about: "cut out the only object",
  parameters: {},
  scene: (random) => {
    const grid = blankGrid(random.int(4, 7), random.int(4, 7));
    const colors = pickColors(random, random.int(1, 2));
    place(random, grid, drawShape(random, random.int(3, 6)), 1);
    return recolored(grid, (old) => (old === 0 ? 0 : random.pick(colors)));
  },
  answer: (input) => cropped(input, (color) => color !== 0),
});

const cropColor = defineKind({
  name: "crop-color",
  about: "cut out the object of one colour",
  parameters: { color: COLORS },
  scene: (random, { color }) => {
    const grid = blankGrid(random.int(5, 7), random.int(5, 7));
    const inks = [color, ...pickColors(random, random.int(1, 2), [color])];
    for (const ink of inks) if (!place(random, grid, drawShape(random, random.int(3, 5)), ink)) return undefined;
    const alone = cropped(grid, (old) => old === color); // another object must not reach into the answer
    return alone.cells.every((cell) => cell === 0 || cell === color) ? grid : undefined;
  },
  answer: (input, { color }) => cropped(input, (old) => old === color),
});

const scale = defineKind({
  name: "scale",
  about: "every cell becomes a block of cells",
  parameters: { down: [1, 2, 3], across: [1, 2, 3] },
  allowed: ({ down, across }) => down * across > 1 && (down === across || down === 1 || across === 1),
  scene: (random, { down, across }) => {
    const side = (times: number): number => random.int(2, times === 1 ? 5 : times === 2 ? 3 : 2);
    return scatter(random, side(down), side(across), pickColors(random, random.int(2, 3)), 0.7);
  },
  answer: (input, { down, across }) =>
    gridOf(input.rows * down, input.cols * across, (r, c) => input.cells[Math.floor(r / down) * input.cols + Math.floor(c / across)]!),
});

const addFrame = defineKind({
  name: "add-frame",
  about: "put a frame around the grid",
  parameters: { color: COLORS },
  scene: (random, { color }) =>
    scatter(random, random.int(2, 5), random.int(2, 5), pickColors(random, random.int(1, 3), [color]), 0.4 + 0.5 * random.uniform()),
  answer: (input, { color }) =>
    gridOf(input.rows + 2, input.cols + 2, (r, c) =>
      r === 0 || c === 0 || r === input.rows + 1 || c === input.cols + 1 ? color : input.cells[(r - 1) * input.cols + c - 1]!,
    ),
});

const peel = defineKind({
  name: "peel",
  about: "take the outermost cells of the grid away",
  parameters: {},
  scene: (random) => {
    const [rows, cols] = [random.int(4, 7), random.int(4, 7)];
    const colors = pickColors(random, random.int(2, 4));
    const rind = random.pick([undefined, colors[0]]); // sometimes what goes is a frame of one colour
    const grid = scatter(random, rows, cols, colors, 0.7);
    if (rind === undefined) return grid;
    return recolored(grid, (old, row, col) => (row === 0 || col === 0 || row === rows - 1 || col === cols - 1 ? rind : old));
  },
  answer: (input) => cutOut(input, 1, 1, input.rows - 2, input.cols - 2),
});

/** Two halves, left and right (`cols`) or top and bottom (`rows`), and the line between them. */
function halved(input: Grid, along: Lines): [first: Grid, second: Grid] {
  const { rows, cols } = input;
  if (along === "cols") {
    const width = Math.max(1, Math.floor((cols - 1) / 2));
    return [cutOut(input, 0, 0, rows, width), cutOut(input, 0, cols - width, rows, width)];
  }
  const height = Math.max(1, Math.floor((rows - 1) / 2));
  return [cutOut(input, 0, 0, height, cols), cutOut(input, rows - height, 0, height, cols)];
}

/** Two scattered halves with a line of one colour between them. */
function splitScene(random: Random, along: Lines, inks: readonly [first: number[], second: number[]], line: number): Grid {
  const across = random.int(2, 4);
  const [rows, cols] = along === "cols" ? [across, 3] : [3, across];
  const halves = inks.map((colors) => scatter(random, rows, cols, colors, 0.55)) as [Grid, Grid];
  const [a, b] = halves;
  const from = (grid: Grid, row: number, col: number): number => grid.cells[row * cols + col]!;
  return along === "cols"
    ? gridOf(rows, 2 * cols + 1, (r, c) => (c === cols ? line : c < cols ? from(a, r, c) : from(b, r, c - cols - 1)))
    : gridOf(2 * rows + 1, cols, (r, c) => (r === rows ? line : r < rows ? from(a, r, c) : from(b, r - rows - 1, c)));
}

/** Halves with content of their own, so that it shows which is which. */
function differentHalves(random: Random, along: Lines): Grid | undefined {
  const [line, ...inks] = pickColors(random, random.int(3, 4)) as [number, ...number[]];
  const scene = splitScene(random, along, [inks, inks], line);
  const halves = halved(scene, along);
  return halves.every((half) => half.cells.some((cell) => cell !== 0)) ? scene : undefined;
}

const takeHalf = defineKind({
  name: "take-half",
  about: "keep one of the two halves beside a line",
  parameters: { halves: LINES, keep: ["first", "second"] },
  scene: (random, { halves }) => {
    const scene = differentHalves(random, halves);
    if (!scene) return undefined;
    const [first, second] = halved(scene, halves);
    return first.cells.some((cell, i) => cell !== second.cells[i]) ? scene : undefined;
  },
  answer: (input, { halves, keep }) => halved(input, halves)[keep === "first" ? 0 : 1],
});

const swapHalves = defineKind({
  name: "swap-halves",
  about: "the two halves beside a line change places",
  parameters: { halves: LINES },
  scene: (random, { halves }) => differentHalves(random, halves),
  answer: (input, { halves }) => {
    const { rows, cols, cells } = input;
    const [height, width] = [Math.floor((rows + 1) / 2), Math.floor((cols + 1) / 2)];
    return halves === "cols"
      ? gridOf(rows, cols, (r, c) => cells[r * cols + (2 * c === cols - 1 ? c : (c + width) % (cols + 1))]!)
      : gridOf(rows, cols, (r, c) => cells[(2 * r === rows - 1 ? r : (r + height) % (rows + 1)) * cols + c]!);
  },
});

const OVERLAYS = {
  both: (a: boolean, b: boolean) => a && b,
  either: (a: boolean, b: boolean) => a || b,
  one: (a: boolean, b: boolean) => a !== b,
  neither: (a: boolean, b: boolean) => !a && !b,
};

const overlay = defineKind({
  name: "overlay",
  about: "lay two halves on each other and mark where both, either, just one or neither is drawn",
  parameters: { halves: LINES, mark: ["both", "either", "one", "neither"], color: COLORS },
  scene: (random, { halves, color }) => {
    const [line, first, second] = pickColors(random, 3, [color]) as [number, number, number];
    const scene = splitScene(random, halves, [[first], [second]], line);
    const [a, b] = halved(scene, halves);
    const cases = new Set(Array.from(a.cells, (cell, i) => (cell === 0 ? 0 : 1) + (b.cells[i] === 0 ? 0 : 2)));
    return cases.size === 4 ? scene : undefined; // every case shows in every pair
  },
  answer: (input, { halves, mark, color }) => {
    const [a, b] = halved(input, halves);
    return recolored(a, (old, row, col) => (OVERLAYS[mark](old !== 0, b.cells[row * b.cols + col] !== 0) ? color : 0));
  },
});

/** Answers of another size. */
export const SIZE_KINDS: readonly TaskKind[] = [crop, cropColor, scale, addFrame, peel, takeHalf, swapHalves, overlay];
