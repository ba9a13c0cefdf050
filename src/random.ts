/** Seeded random numbers with named forks, so that no two uses share or disturb a stream. */
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";

/** A stream of random numbers; the same seed and fork names give the same stream on every machine. */
export interface Random {
  /** An integer, both ends included. */
  int(min: number, max: number): number;
  /** A number in [0, 1). */
  uniform(): number;
  /** A standard normal number (Box-Muller). */
  normal(): number;
  /** `items` in random order; the argument is left as it is. */
  shuffled<T>(items: readonly T[]): T[];
  /** One of `items`, all equally likely. */
  pick<T>(items: readonly T[]): T;
  /** A stream of its own, set by this stream's seed and the name alone, however much was drawn from either. */
  fork(name: string | number): Random;
}

/** A stream for a seed (any safe integer or text). */
export function createRandom(seed: number | string): Random {
  return streamOf(hashOf(String(seed), 0x9e3779b9));
}

function streamOf(seed: number): Random {
  const generator = xoroshiro128plus(seed);
  const uint32 = (): number => generator.next() >>> 0;
  const uniform = (): number => (uint32() * 2 ** 21 + (uint32() >>> 11)) / 2 ** 53;
  const int = (min: number, max: number): number => {
    const span = max - min + 1;
    if (span <= 0) throw new RangeError(`no integer in ${min}..${max}`);
    const limit = 2 ** 32 - (2 ** 32 % span); // rejection keeps every value equally likely
    let draw = uint32();
    while (draw >= limit) draw = uint32();
    return min + (draw % span);
  };
  return {
    int,
    uniform,
    normal: () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform()),
    shuffled: <T>(items: readonly T[]): T[] => {
      const out = items.slice();
      for (let i = out.length - 1; i > 0; i--) {
        const j = int(0, i);
        const kept = out[i] as T;
        out[i] = out[j] as T;
        out[j] = kept;
      }
      return out;
    },
    pick: <T>(items: readonly T[]): T => items[int(0, items.length - 1)] as T,
    fork: (name) => streamOf(hashOf(String(name), seed)),
  };
}

/** FNV-1a over the text's UTF-16 units, started from `basis` and mixed at the end. */
function hashOf(text: string, basis: number): number {
  let hash = (basis ^ 0x811c9dc5) >>> 0;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193) >>> 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b) >>> 0;
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35) >>> 0;
  return (hash ^ (hash >>> 16)) >>> 0;
}
