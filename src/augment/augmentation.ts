/** A plan to change a task's looks without changing what it is about. */

/** Colours first, then the symmetry. */
export interface Augmentation {
  /** 0..7, see dihedral.ts */
  readonly dihedral: number;
  /** uint8[10]: new colour of each old one; a permutation that keeps 0 */
  readonly colorPermutation: Uint8Array;
}
