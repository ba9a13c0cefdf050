/** Many augmentations in little memory: 11 bytes each, so that 240 tasks x 1000 variants take 2.6 MB. */
import type { Augmentation } from "./augmentation.ts";
import { COLOR_COUNT } from "./color-permutation.ts";

/** Bytes of one augmentation: its symmetry, then the new colour of 0..9. */
const STRIDE = 1 + COLOR_COUNT;

/** A list of augmentations that never changes. */
export class AugmentationList {
  /** @param bytes uint8[11 * length]; owned by the list from now on */
  constructor(readonly bytes: Uint8Array) {
    if (bytes.length % STRIDE !== 0) throw new RangeError(`${bytes.length} bytes are no whole number of augmentations`);
  }

  /** A list of given augmentations. */
  static of(augmentations: readonly Augmentation[]): AugmentationList {
    const bytes = new Uint8Array(augmentations.length * STRIDE);
    augmentations.forEach(({ dihedral, colorPermutation }, i) => {
      bytes[i * STRIDE] = dihedral;
      bytes.set(colorPermutation, i * STRIDE + 1);
    });
    return new AugmentationList(bytes);
  }

  get length(): number {
    return this.bytes.length / STRIDE;
  }

  /** The symmetry alone, 0..7. */
  dihedral(index: number): number {
    this.#check(index);
    return this.bytes[index * STRIDE]!;
  }

  /** One augmentation; its recolouring is a view that must not be written to. */
  at(index: number): Augmentation {
    this.#check(index);
    return { dihedral: this.bytes[index * STRIDE]!, colorPermutation: this.bytes.subarray(index * STRIDE + 1, (index + 1) * STRIDE) };
  }

  #check(index: number): void {
    if (!(Number.isInteger(index) && index >= 0 && index < this.length)) {
      throw new RangeError(`no augmentation ${index} in a list of ${this.length}`);
    }
  }
}
