/** Kinds that count, compare and sort. */

import type { Grid } from "../arc/grid.ts";
import type { Random } from "../random.ts";
import { blankGrid, colorCounts, copyOf, DIRECTIONS, type Direction, gridOf, LINES, linesFrom, objectsOf, recolored } from "./cells.ts";
import { defineKind, type TaskKind } from "./kind.ts";
import { COLORS, drawShape, INKS, inkColor, pickColors, place, placeDot, scatter } from "./scene.ts";

/** Cells of a bar that shows a count. */
const BAR_LENGTH = 5;

const countBar = defineKind({
  name: "count-bar",
  about: "as many cells of a bar as there are dots",
  parameters: { bar: LINES, ink: INKS },
  scene: (random, { ink }) => {
    const grid = blankGrid(random.int(4, 6), random.int(4, 6));
    const color = pickColors(random, 1, ink === "own" ? [] : [ink])[0]!;
    for (let i = random.int(1, BAR_LENGTH); i > 0; i--) if (!placeDot(random, grid, color)) return undefined;
    return grid;
  },
  answer: (input, { bar, ink }) => {
    const own = Math.max(...input.cells);
    const count = input.cells.length - colorCounts(input)[0]!;
    const [rows, cols] = bar === "rows" ? [1, BAR_LENGTH] : [BAR_LENGTH, 1];
    return gridOf(rows, cols, (row, col) => (row + col < count ? inkColor(ink, own) : 0));
  },
});

const majorityColor = defineKind({
  name: "majority-color",
  about: "the commonest or rarest colour, as one cell or over the whole grid",
  parameters: { which: ["most", "least"], answer: ["cell", "grid"] },
  scene: (random) => {
    const colors = pickColors(random, 3);
    const grid = scatter(random, random.int(3, 5), random.int(3, 5), colors, 1);
    const counts = colorCounts(grid);
    const [least, middle, most] = colors.map((color) => counts[color]!).sort((a, b) => a - b) as [number, number, number];
    return least > 0 && middle - least > 1 && most - middle > 1 ? grid : undefined;
  },
  answer: (input, { which, answer }) => {
    const counts = colorCounts(input).map((count, color) => ({ count: which === "most" ? -count : count, color, seen: count > 0 }));
    const winner = counts.filter(({ seen }) => seen).sort((a, b) => a.count - b.count || a.color - b.color)[0]!.color;
    return answer === "cell" ? blankGrid(1, 1, winner) : blankGrid(input.rows, input.cols, winner);
  },
});

const lineMajority = defineKind({
  name: "line-majority",
  about: "the commonest colour of every line fills it",
  parameters: { lines: LINES },
  scene: (random, { lines }) => {
    const grid = blankGrid(random.int(3, 5), random.int(3, 5));
    const colors = pickColors(random, 3);
    for (const line of linesFrom(grid, lines === "rows" ? "left" : "up")) {
      const [main, ...others] = random.shuffled(colors) as [number, ...number[]];
      const strays = random.int(0, Math.floor((line.length - 1) / 2));
      random.shuffled(line).forEach((cell, i) => {
        grid.cells[cell] = i < strays ? random.pick(others) : main;
      });
    }
    return grid;
  },
  answer: (input, { lines }) => {
    const output = copyOf(input);
    for (const line of linesFrom(input, lines === "rows" ? "left" : "up")) {
      const counts = new Array<number>(10).fill(0);
      for (const cell of line) counts[input.cells[cell]!]!++;
      const main = counts.indexOf(Math.max(...counts));
      for (const cell of line) output.cells[cell] = main;
    }
    return output;
  },
});

const keepObject = defineKind({
  name: "keep-object",
  about: "only the largest or the smallest object stays",
  parameters: { which: ["largest", "smallest"] },
  scene: (random) => {
    const grid = blankGrid(random.int(5, 7), random.int(5, 7));
    const sizes = random.pick([
      [5, 1],
      [6, 2],
      [5, 3, 1],
      [6, 3, 1],
      [4, 2],
    ] as const);
    for (const [i, color] of pickColors(random, sizes.length).entries()) {
      if (!place(random, grid, drawShape(random, sizes[i]!), color)) return undefined;
    }
    return grid;
  },
  answer: (input, { which }) => {
    const bySize = objectsOf(input).sort((a, b) => a.cells.length - b.cells.length);
    const kept = new Set(bySize[which === "largest" ? bySize.length - 1 : 0]?.cells);
    return recolored(input, (old, row, col) => (kept.has(row * input.cols + col) ? old : 0));
  },
});

/** Bars that stand on a side, one on each line, in the given colours. */
function bars(rows: number, cols: number, side: Direction, heights: readonly number[], colors: readonly number[]): Grid {
  const grid = blankGrid(rows, cols);
  linesFrom(grid, side).forEach((line, i) => {
    for (let j = 0; j < heights[i]!; j++) grid.cells[line[j]!] = colors[i]!;
  });
  return grid;
}

/** A grid's sides and heights for its bars, all different if there is room. */
function barScene(random: Random, side: Direction): { rows: number; cols: number; heights: number[] } {
  const [count, length] = [random.int(3, 5), random.int(5, 6)];
  const heights = random.shuffled(Array.from({ length }, (_, i) => i + 1)).slice(0, count);
  return side === "up" || side === "down" ? { rows: length, cols: count, heights } : { rows: count, cols: length, heights };
}

const sortBars = defineKind({
  name: "sort-bars",
  about: "bars are sorted by height",
  parameters: { on: DIRECTIONS, order: ["rising", "falling"] },
  scene: (random, { on }) => {
    const { rows, cols, heights } = barScene(random, on);
    const colors = pickColors(random, heights.length);
    return bars(rows, cols, on, heights, colors);
  },
  answer: (input, { on, order }) => {
    const standing = linesFrom(input, on).map((line) => ({
      color: input.cells[line[0]!]!,
      height: line.filter((cell) => input.cells[cell] !== 0).length,
    }));
    standing.sort((a, b) => (order === "rising" ? a.height - b.height : b.height - a.height));
    return bars(
      input.rows,
      input.cols,
      on,
      standing.map((bar) => bar.height),
      standing.map((bar) => bar.color),
    );
  },
});

const markBar = defineKind({
  name: "mark-bar",
  about: "the longest or the shortest bar takes a colour",
  parameters: { which: ["longest", "shortest"], color: COLORS },
  scene: (random, { color }) => {
    const { rows, cols, heights } = barScene(random, "down");
    const ink = pickColors(random, 1, [color])[0]!;
    return bars(
      rows,
      cols,
      "down",
      heights,
      heights.map(() => ink),
    );
  },
  answer: (input, { which, color }) => {
    const output = copyOf(input);
    const standing = linesFrom(input, "down").map((line) => line.filter((cell) => input.cells[cell] !== 0));
    standing.sort((a, b) => a.length - b.length);
    for (const cell of standing[which === "longest" ? standing.length - 1 : 0]!) output.cells[cell] = color;
    return output;
  },
});

/** Counting, comparing, sorting. */
export const COUNTING_KINDS: readonly TaskKind[] = [countBar, majorityColor, lineMajority, keepObject, sortBars, markBar];
