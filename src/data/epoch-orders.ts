/** Random orders of an endless row of epochs. */
import type { Random } from "../random.ts";

/** Rows of a batch are at different epochs; this many are kept ready. */
const CACHED = 64;

/** A function that gives the order of each epoch: the numbers below `length`, shuffled by seed and epoch alone. */
export function epochOrders(length: number, random: Random): (epoch: number) => readonly number[] {
  const orders = new Map<number, readonly number[]>();
  const places = Array.from({ length }, (_, place) => place);
  return (epoch) => {
    const known = orders.get(epoch);
    if (known) return known;
    const order = random.fork("order").fork(epoch).shuffled(places);
    orders.set(epoch, order);
    if (orders.size > CACHED) orders.delete(orders.keys().next().value!);
    return order;
  };
}
