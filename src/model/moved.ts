/** How far a training has moved what it learns: the trunk part by part, and puzzle rows. */

/** Euclidean lengths over many numbers. */
export interface Moved {
  /** of the start */
  readonly start: number;
  /** of what was added to it; over `start`, the relative distance */
  readonly distance: number;
}

/** The part of the trunk that a parameter belongs to, as `inspect` names it: `L_level.layers.0.mlp`, `q_head`, … */
export function partOf(name: string): string {
  return name.replace(/\.(weight|bias|embedding_weight|(qkv|o|gate_up|down)_proj\.weight)$/, "");
}

/** Adds up squares of arrays in pairs. */
export class MovedSum {
  #start = 0;
  #distance = 0;

  /** @param now of the same length */
  add(start: Float32Array, now: Float32Array): void {
    for (let i = 0; i < start.length; i++) {
      const from = start[i]!;
      const by = now[i]! - from;
      this.#start += from * from;
      this.#distance += by * by;
    }
  }

  get moved(): Moved {
    return { start: Math.sqrt(this.#start), distance: Math.sqrt(this.#distance) };
  }
}

/** The distance of each part of a trunk from its start, and of all of it under the name `trunk`. */
export function movedByPart(
  parameters: Iterable<{ readonly name: string; readonly start: Float32Array; readonly now: Float32Array }>,
): Record<string, Moved> {
  const whole = new MovedSum();
  const sums = new Map([["trunk", whole]]);
  for (const { name, start, now } of parameters) {
    const part = partOf(name);
    const sum = sums.get(part) ?? new MovedSum();
    sums.set(part, sum);
    for (const each of [sum, whole]) each.add(start, now);
  }
  return Object.fromEntries([...sums].map(([part, sum]) => [part, sum.moved]));
}

/** Distance over the length of the start; NaN where that is zero. */
export function relative({ start, distance }: Moved): number {
  return start > 0 ? distance / start : Number.NaN;
}
