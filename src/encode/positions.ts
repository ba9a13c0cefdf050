/** Where the tokens of a canvas stand in the sequence that a checkpoint was trained on. */

/**
 * The rotary position of every slot of a sequence whose canvas may be smaller than the checkpoint's.
 *
 * Rotary embeddings know only the place in the flattened sequence. Cell (row, col) gets the position that it has on the full canvas, so that
 * "one row down" is the same rotation as in training; counting through a smaller canvas would change it.
 *
 * @param side         canvas edge in cells, 1..fullSide
 * @param fullSide     canvas edge that the checkpoint was trained on
 * @param prefixLength slots of the puzzle embedding, which come first
 * @returns            int32[prefixLength + side * side]: 0..prefixLength-1, then prefixLength + row * fullSide + col
 */
export function canvasPositions(side: number, fullSide: number, prefixLength: number): Int32Array {
  if (side > fullSide) throw new RangeError(`a canvas of side ${side} does not fit into the checkpoint's, ${fullSide}`);
  const positions = new Int32Array(prefixLength + side * side);
  for (let i = 0; i < prefixLength; i++) positions[i] = i;
  for (let row = 0, i = prefixLength; row < side; row++) {
    for (let col = 0; col < side; col++) positions[i++] = prefixLength + row * fullSide + col;
  }
  return positions;
}

/**
 * Row and column of every slot, for models whose rotary positions have two axes: a step on the grid is the same on every canvas.
 *
 * @returns int32[(prefixLength + side * side) * 2]: prefix slot i at row -1, column i - prefixLength; then the cells
 */
export function gridPositions(side: number, prefixLength: number): Int32Array {
  const positions = new Int32Array((prefixLength + side * side) * 2);
  for (let i = 0; i < prefixLength; i++) positions.set([-1, i - prefixLength], 2 * i);
  for (let row = 0, i = prefixLength; row < side; row++) for (let col = 0; col < side; col++, i++) positions.set([row, col], 2 * i);
  return positions;
}
