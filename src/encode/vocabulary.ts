/** The twelve tokens. Source: TRM dataset/build_arc_dataset.py. */

/** Outside the grid. */
export const PAD = 0;
/** Just outside the grid, along its bottom and right edge. */
export const EOS = 1;
/** Token of colour 0; colour c is token c + 2. */
export const FIRST_COLOR = 2;
/** PAD, EOS and ten colours. */
export const VOCABULARY_SIZE = 12;
/** A label that asks for nothing: no loss, no accuracy. */
export const IGNORE_LABEL = -100;
