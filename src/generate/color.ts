/** Kinds that change colours and leave every shape where it is. */
import type { Grid } from "../arc/grid.ts";
import type { Random } from "../random.ts";
import { blankGrid, copyOf, LINES, objectsOf, recolored } from "./cells.ts";
import { defineKind, type TaskKind } from "./kind.ts";
import { COLORS, drawShape, pickColors, picture, place, placeDot, scatter } from "./scene.ts";

/** A picture that shows all of `shown` and up to `others` more colours. */
function pictureWith(random: Random, shown: readonly number[], others: readonly [min: number, max: number]): Grid | undefined {
  const colors = [...shown, ...pickColors(random, random.int(...others), shown)];
  return picture(random, random.int(4, 6), random.int(4, 6), colors);
}

const recolor = defineKind({
  name: "recolor",
  about: "one colour becomes another",
  parameters: { from: COLORS, to: COLORS },
  allowed: ({ from, to }) => from !== to,
  scene: (random, { from }) => pictureWith(random, [from], [1, 2]),
  answer: (input, { from, to }) => recolored(input, (color) => (color === from ? to : color)),
});

const swapColors = defineKind({
  name: "swap-colors",
  about: "two colours change places",
  parameters: { one: COLORS, two: COLORS },
  allowed: ({ one, two }) => one < two,
  scene: (random, { one, two }) => pictureWith(random, [one, two], [0, 1]),
  answer: (input, { one, two }) => recolored(input, (color) => (color === one ? two : color === two ? one : color)),
});

const ORDERED_TRIPLES = COLORS.flatMap((a) =>
  COLORS.flatMap((b) => COLORS.map((c) => [a, b, c] as const)).filter(([a, b, c]) => a !== b && a !== c && b !== c),
);

const colorMap = defineKind({
  name: "color-map",
  about: "each of three colours becomes another",
  parameters: { from: ORDERED_TRIPLES.filter(([a, b, c]) => a < b && b < c), to: ORDERED_TRIPLES },
  allowed: ({ from, to }) => !from.some((color) => to.includes(color)),
  scene: (random, { from }) => pictureWith(random, from, [0, 0]),
  answer: (input, { from, to }) =>
    recolored(input, (color) => {
      const known = (from as readonly number[]).indexOf(color);
      return known < 0 ? color : to[known]!;
    }),
});

const keepColor = defineKind({
  name: "keep-color",
  about: "everything but one colour disappears",
  parameters: { color: COLORS },
  scene: (random, { color }) => pictureWith(random, [color], [1, 2]),
  answer: (input, { color }) => recolored(input, (old) => (old === color ? old : 0)),
});

const removeColor = defineKind({
  name: "remove-color",
  about: "one colour disappears",
  parameters: { color: COLORS },
  scene: (random, { color }) => pictureWith(random, [color], [1, 2]),
  answer: (input, { color }) => recolored(input, (old) => (old === color ? 0 : old)),
});

const fillBackground = defineKind({
  name: "fill-background",
  about: "the background takes a colour",
  parameters: { color: COLORS },
  scene: (random, { color }) => picture(random, random.int(4, 6), random.int(4, 6), pickColors(random, random.int(1, 3), [color])),
  answer: (input, { color }) => recolored(input, (old) => (old === 0 ? color : old)),
});

const negative = defineKind({
  name: "negative",
  about: "the picture's one colour and the background change places",
  parameters: {},
  scene: (random) => picture(random, random.int(3, 6), random.int(3, 6), pickColors(random, 1)),
  answer: (input) => {
    const ink = Math.max(...input.cells);
    return recolored(input, (old) => (old === 0 ? ink : 0));
  },
});

const alternateLines = defineKind({
  name: "alternate-lines",
  about: "what is drawn on every second line takes a colour",
  parameters: { lines: LINES, from: [0, 1], color: COLORS },
  scene: (random, { color }) => {
    const colors = pickColors(random, random.int(1, 2), [color]);
    return scatter(random, random.int(4, 6), random.int(4, 6), colors, 0.5 + 0.5 * random.uniform());
  },
  answer: (input, { lines, from, color }) =>
    recolored(input, (old, row, col) => (old !== 0 && (lines === "rows" ? row : col) % 2 === from ? color : old)),
});

const checkerboard = defineKind({
  name: "checkerboard",
  about: "the background becomes a checkerboard",
  parameters: { from: [0, 1], color: COLORS },
  scene: (random, { color }) => {
    const grid = blankGrid(random.int(4, 6), random.int(4, 6));
    for (const ink of pickColors(random, random.int(1, 2), [color])) place(random, grid, drawShape(random, random.int(1, 4)), ink);
    return grid;
  },
  answer: (input, { from, color }) => recolored(input, (old, row, col) => (old === 0 && (row + col) % 2 === from ? color : old)),
});

const recolorDots = defineKind({
  name: "recolor-dots",
  about: "single cells take a colour or disappear, larger objects stay",
  parameters: { color: [0, ...COLORS] },
  scene: (random, { color }) => {
    const grid = blankGrid(random.int(5, 7), random.int(5, 7));
    const inks = pickColors(random, 2, [color]);
    for (let i = random.int(1, 2); i > 0; i--)
      if (!place(random, grid, drawShape(random, random.int(3, 5)), random.pick(inks))) return undefined;
    for (let i = random.int(1, 3); i > 0; i--) if (!placeDot(random, grid, random.pick(inks))) return undefined;
    return grid;
  },
  answer: (input, { color }) => {
    const output = copyOf(input);
    for (const { cells } of objectsOf(input)) if (cells.length === 1) output.cells[cells[0]!] = color;
    return output;
  },
});

/** New colours for old cells. */
export const COLOR_KINDS: readonly TaskKind[] = [
  recolor,
  swapColors,
  colorMap,
  keepColor,
  removeColor,
  fillBackground,
  negative,
  alternateLines,
  checkerboard,
  recolorDots,
];
