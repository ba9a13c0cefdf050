import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { gridToCanvas, writeGridToCanvas } from "../../src/encode/canvas.ts";
import { cropToGrid } from "../../src/encode/crop.ts";
import { EOS, PAD } from "../../src/encode/vocabulary.ts";
import { anyGrid, gridUpTo } from "./any-grid.ts";

test("cropping a canvas gives the grid back that was laid on it, on every canvas that holds it", () => {
  fc.assert(
    fc.property(anyGrid, fc.nat(5), (grid, extra) => {
      const side = Math.max(grid.rows, grid.cols) + extra;
      assert.deepEqual(cropToGrid(gridToCanvas(grid, side), side), grid);
    }),
  );
});

test("a grid comes back from every shift that fits, once its canvas is moved back", () => {
  fc.assert(
    fc.property(gridUpTo(6), (grid) => {
      const side = 7;
      for (let row = 0; row + grid.rows <= side; row++) {
        for (let col = 0; col + grid.cols <= side; col++) {
          const canvas = gridToCanvas(grid, side, { row, col });
          const movedBack = Int32Array.from(canvas, (_, i) => {
            const [r, c] = [Math.floor(i / side) + row, (i % side) + col];
            return r < side && c < side ? canvas[r * side + c]! : PAD;
          });
          assert.deepEqual(cropToGrid(movedBack, side), grid);
          const eos = canvas.filter((token) => token === EOS).length;
          assert.equal(eos, (row + grid.rows < side ? grid.cols : 0) + (col + grid.cols < side ? grid.rows : 0));
        }
      }
    }),
  );
});

test("writing a canvas into old memory overwrites its tokens and nothing beside them", () => {
  fc.assert(
    fc.property(gridUpTo(5), fc.nat(4), (grid, offset) => {
      const target = new Int32Array(offset + 25 + 3).fill(99);
      writeGridToCanvas(target, offset, grid, 5);
      assert.deepEqual(target.slice(offset, offset + 25), gridToCanvas(grid, 5));
      assert.deepEqual([...target.slice(0, offset), ...target.slice(offset + 25)], new Array(offset + 3).fill(99));
      assert.deepEqual(cropToGrid(target, 5, offset), grid);
    }),
  );
});
