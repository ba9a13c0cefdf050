/** Kinds about mirroring, turning and repeating the whole picture. */
import { type Grid, gridKey } from "../arc/grid.ts";
import { applyDihedral, DIHEDRAL_COUNT } from "../augment/dihedral.ts";
import type { Random } from "../random.ts";
import { DIRECTIONS, type Direction, gridOf, LINES, recolored } from "./cells.ts";
import { defineKind, type TaskKind } from "./kind.ts";
import { COLORS, chance, pickColors, picture, scatter } from "./scene.ts";

const MIRRORS = ["left-right", "top-bottom", "diagonal", "antidiagonal"] as const;
const TURNS = ["quarter", "half", "three-quarters"] as const; // clockwise
type Symmetry = (typeof MIRRORS)[number] | (typeof TURNS)[number];

/** The number that `applyDihedral` has for each symmetry. */
const DIHEDRAL_OF: Readonly<Record<Symmetry, number>> = {
  "left-right": 4,
  "top-bottom": 5,
  diagonal: 6,
  antidiagonal: 7,
  quarter: 3,
  half: 2,
  "three-quarters": 1,
};

/** The picture mirrored or turned. */
function moved(grid: Grid, symmetry: Symmetry): Grid {
  return applyDihedral(grid, DIHEDRAL_OF[symmetry]);
}

/** Whether every mirroring and turn of a picture looks different, so that an answer tells which one it was. */
function isLopsided(grid: Grid): boolean {
  return new Set(Array.from({ length: DIHEDRAL_COUNT }, (_, dihedral) => gridKey(applyDihedral(grid, dihedral)))).size === DIHEDRAL_COUNT;
}

function lopsidedPicture(random: Random, rows: number, cols: number): Grid | undefined {
  const small = rows * cols <= 9;
  const colors = pickColors(random, random.int(2, small ? 3 : 4));
  const grid = small ? scatter(random, rows, cols, colors, 0.7) : picture(random, rows, cols, colors);
  return grid && isLopsided(grid) ? grid : undefined;
}

/** The most cells an input may have along a side that is repeated `times`. */
function sideBefore(times: number): number {
  return times === 1 ? 5 : times === 2 ? 3 : 2;
}

const mirror = defineKind({
  name: "mirror",
  about: "mirror the picture at an axis or a diagonal",
  parameters: { axis: MIRRORS },
  scene: (random) => lopsidedPicture(random, random.int(3, 6), random.int(3, 6)),
  answer: (input, { axis }) => moved(input, axis),
});

const rotate = defineKind({
  name: "rotate",
  about: "turn the picture clockwise",
  parameters: { turn: TURNS },
  scene: (random) => lopsidedPicture(random, random.int(3, 6), random.int(3, 6)),
  answer: (input, { turn }) => moved(input, turn),
});

const completeSymmetry = defineKind({
  name: "complete-symmetry",
  about: "draw the missing half of a symmetric picture",
  parameters: { given: DIRECTIONS },
  scene: (random, { given }) => {
    const [rows, cols] = [random.int(4, 6), random.int(4, 6)];
    const colors = pickColors(random, random.int(1, 3));
    const whole = scatter(random, rows, cols, colors, 0.4 + 0.3 * random.uniform());
    const half = recolored(whole, (color, row, col) => (isGiven(row, col, rows, cols, given) ? color : 0));
    return colors.every((color) => half.cells.includes(color)) ? half : undefined;
  },
  answer: (input, { given }) => {
    const image = moved(input, given === "up" || given === "down" ? "top-bottom" : "left-right");
    return recolored(input, (color, row, col) =>
      isGiven(row, col, input.rows, input.cols, given) ? color : image.cells[row * input.cols + col]!,
    );
  },
});

/** Whether a cell lies in the half of the grid next to a side, the middle line included. */
function isGiven(row: number, col: number, rows: number, cols: number, side: Direction): boolean {
  switch (side) {
    case "up":
      return 2 * row <= rows - 1;
    case "down":
      return 2 * row >= rows - 1;
    case "left":
      return 2 * col <= cols - 1;
    case "right":
      return 2 * col >= cols - 1;
  }
}

const repairSymmetry = defineKind({
  name: "repair-symmetry",
  about: "fill the hole in a symmetric picture from its other half",
  parameters: { mirrored: LINES, hole: COLORS },
  scene: (random, { mirrored, hole }) => {
    const [rows, cols] = [random.int(4, 6), random.int(4, 6)];
    const base = scatter(random, rows, cols, pickColors(random, 3, [hole]), 1);
    const axis = mirrored === "cols" ? "left-right" : "top-bottom";
    const side = mirrored === "cols" ? random.pick(["left", "right"] as const) : random.pick(["up", "down"] as const);
    const image = moved(base, axis);
    const whole = recolored(base, (color, row, col) => (isGiven(row, col, rows, cols, side) ? color : image.cells[row * cols + col]!));
    const [height, width] = random.pick([
      [2, 2],
      [1, 2],
      [2, 1],
    ] as const);
    const [top, left] = [random.int(0, rows - height), random.int(0, cols - width)];
    const isHole = (row: number, col: number): boolean => row >= top && row < top + height && col >= left && col < left + width;
    let known = true; // the hole must not reach its own image
    const scene = recolored(whole, (color, row, col) => {
      if (!isHole(row, col)) return color;
      const reached = axis === "left-right" ? isHole(row, cols - 1 - col) : isHole(rows - 1 - row, col);
      if (reached) known = false;
      return hole;
    });
    return known ? scene : undefined;
  },
  answer: (input, { mirrored, hole }) => {
    const image = moved(input, mirrored === "cols" ? "left-right" : "top-bottom");
    return recolored(input, (color, row, col) => (color === hole ? image.cells[row * input.cols + col]! : color));
  },
});

/** Two grids side by side: `second` on the given side of `first`. */
function joined(first: Grid, second: Grid, side: Direction): Grid {
  const [a, b] = side === "right" || side === "down" ? [first, second] : [second, first];
  return side === "left" || side === "right"
    ? gridOf(a.rows, a.cols + b.cols, (r, c) => (c < a.cols ? a.cells[r * a.cols + c]! : b.cells[r * b.cols + c - a.cols]!))
    : gridOf(a.rows + b.rows, a.cols, (r, c) => (r < a.rows ? a.cells[r * a.cols + c]! : b.cells[(r - a.rows) * b.cols + c]!));
}

const appendImage = defineKind({
  name: "append-image",
  about: "put a mirrored or turned copy of the picture on one of its sides",
  parameters: { side: DIRECTIONS, copy: ["mirrored", "flipped", "turned"] },
  scene: (random, { side }) => {
    const across = side === "left" || side === "right";
    return lopsidedPicture(random, random.int(2, across ? 5 : 3), random.int(2, across ? 3 : 5));
  },
  answer: (input, { side, copy }) => {
    const across = side === "left" || side === "right";
    const symmetry = copy === "turned" ? "half" : (copy === "mirrored") === across ? "left-right" : "top-bottom";
    return joined(input, moved(input, symmetry), side);
  },
});

const tile = defineKind({
  name: "tile",
  about: "repeat the picture down and across",
  parameters: { down: [1, 2, 3], across: [1, 2, 3] },
  allowed: ({ down, across }) => down !== 1 || across !== 1,
  scene: (random, { down, across }) => {
    const [rows, cols] = [random.int(2, sideBefore(down)), random.int(2, sideBefore(across))];
    return scatter(random, rows, cols, pickColors(random, random.int(1, 3)), chance(random, 0.3) ? 1 : 0.6);
  },
  answer: (input, { down, across }) =>
    gridOf(input.rows * down, input.cols * across, (r, c) => input.cells[(r % input.rows) * input.cols + (c % input.cols)]!),
});

const kaleidoscope = defineKind({
  name: "kaleidoscope",
  about: "four copies of the picture, mirrored at both axes of the answer",
  parameters: { down: ["first", "second"], across: ["first", "second"] },
  scene: (random) => lopsidedPicture(random, random.int(2, 3), random.int(2, 3)),
  answer: (input, { down, across }) => {
    const beside = joined(input, moved(input, "left-right"), across === "first" ? "right" : "left");
    return joined(beside, moved(beside, "top-bottom"), down === "first" ? "down" : "up");
  },
});

/** Mirroring, turning, repeating. */
export const SYMMETRY_KINDS: readonly TaskKind[] = [mirror, rotate, completeSymmetry, repairSymmetry, appendImage, tile, kaleidoscope];
