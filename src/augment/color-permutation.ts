/** Recolourings: permutations of the ten colours that keep 0, black, which ARC uses as background. */
import type { Grid } from "../arc/grid.ts";
import type { Random } from "../random.ts";

/** How many colours there are: 0..9. */
export const COLOR_COUNT = 10;

const MOVABLE_COLORS: readonly number[] = [1, 2, 3, 4, 5, 6, 7, 8, 9];

/** Every colour stays; uint8[10], the caller's own. */
export function identityColorPermutation(): Uint8Array {
  return Uint8Array.from({ length: COLOR_COUNT }, (_, color) => color);
}

/** A random recolouring that keeps 0, all 9! equally likely; uint8[10]: new colour of each old one. */
export function drawColorPermutation(random: Random): Uint8Array {
  return Uint8Array.from([0, ...random.shuffled(MOVABLE_COLORS)]);
}

/** The recolouring that undoes this one. */
export function invertColorPermutation(permutation: Uint8Array): Uint8Array {
  const inverse = new Uint8Array(COLOR_COUNT);
  permutation.forEach((to, from) => {
    inverse[to] = from;
  });
  return inverse;
}

/** A grid in its new colours. */
export function applyColorPermutation(grid: Grid, permutation: Uint8Array): Grid {
  return { ...grid, cells: grid.cells.map((color) => permutation[color]!) };
}

/** Whether ten numbers are a recolouring: each of 0..9 once, 0 at its place. */
export function isColorPermutation(colors: ArrayLike<number>): boolean {
  const seen = new Set(Array.from(colors).filter((color) => Number.isInteger(color) && color >= 0 && color < COLOR_COUNT));
  return colors.length === COLOR_COUNT && colors[0] === 0 && seen.size === COLOR_COUNT;
}
