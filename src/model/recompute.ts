/** Less memory for more work: what a function computes on its way to its result is not kept for the gradient but computed again. */
import * as tf from "@tensorflow/tfjs-core";
import { onTapeOfItsOwn } from "./tape.ts";

/**
 * f(x, ...learned), of which only x and `learned` are kept for its gradient.
 *
 * @param f       pure; may use other tensors, which get no gradient
 * @param learned what else gets a gradient
 */
export function recomputed(
  f: (x: tf.Tensor2D, ...learned: tf.Tensor2D[]) => tf.Tensor2D,
  x: tf.Tensor2D,
  learned: readonly tf.Tensor2D[],
): tf.Tensor2D {
  return tf.customGrad((...inputsAndSave) => {
    const save = inputsAndSave.pop() as unknown as tf.GradSaveFunc;
    const inputs = inputsAndSave as [tf.Tensor2D, ...tf.Tensor2D[]];
    const value = f(...inputs);
    save(inputs);
    return {
      value,
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => {
        const [input, ...rest] = saved;
        const again = f as (...inputs: tf.Tensor[]) => tf.Tensor;
        return tf.tidy(() => {
          const [dx, ...gradients] = onTapeOfItsOwn(() => tf.grads(again)([after([dy], input!), ...rest], dy));
          // What the gradients are made of can go before the next function is computed again, if all of them come first.
          return [after(gradients, dx!), ...gradients];
        });
      },
    };
  })(x, ...learned) as tf.Tensor2D;
}

/**
 * x, but not before the others are there. An engine that runs operations as they come needs no such thing. A compiler,
 * though, would see that it has computed f(x) before and would keep all of that; so x is made to depend on a number of
 * each of the others, by 0 = min(|number|, 0), which no compiler sees through. (XLA's own barrier is gone on a CPU before
 * its last search for repeats.)
 */
function after(others: readonly tf.Tensor[], x: tf.Tensor): tf.Tensor {
  const zeros = others.map((other) => tf.minimum(tf.abs(tf.slice(tf.reshape(other, [-1]), [0], [1])), 0));
  return zeros.length > 0 ? tf.add(x, tf.addN(zeros)) : x;
}
