/** Our own kernels for TensorFlow on a CPU (`native/`), as tfjs's kernels. The addon has made the operations known to TensorFlow. */
import * as tf from "@tensorflow/tfjs-core";
import type { NodeJSKernelBackend } from "@tensorflow/tfjs-node-gpu/dist/nodejs_kernel_backend.js";
import type { TFEOpAttr } from "@tensorflow/tfjs-node-gpu/dist/tfjs_binding.js";
import { OWN_KERNEL_PREFIX } from "../model/own-kernel.ts";

/** Inputs, in the operation's order, and attributes of each kernel; tfjs's name of an attribute -> TensorFlow's. */
const KERNELS = {
  Attend: { inputs: ["qkv", "cos", "sin"], attributes: "attention", outputs: 1 },
  AttendGrad: { inputs: ["dy", "qkv", "cos", "sin"], attributes: "attention", outputs: 1 },
  AddRmsNorm: { inputs: ["x", "y"], attributes: "norm", outputs: 2 },
  AddRmsNormGrad: { inputs: ["dy", "normed", "inverse"], attributes: "none", outputs: 1 },
  Gate: { inputs: ["x"], attributes: "none", outputs: 1 },
  GateGrad: { inputs: ["dy", "x"], attributes: "none", outputs: 1 },
} as const;

type Attributes = Record<string, number>;

/**
 * Registers them for the backend `tensorflow`, where the processor has the instructions for them.
 *
 * @returns whether it has
 */
export function registerNativeKernels(backend: NodeJSKernelBackend): boolean {
  const { TF_ATTR_INT, TF_ATTR_FLOAT } = backend.binding;
  const int = (name: string, value: number): TFEOpAttr => ({ name, type: TF_ATTR_INT, value });
  const given = {
    attention: (a: Attributes) => [
      int("batch", a.batch!),
      int("positions", a.positions!),
      int("heads", a.heads!),
      int("head_size", a.headSize!),
    ],
    norm: (a: Attributes) => [{ name: "eps", type: TF_ATTR_FLOAT, value: a.eps! }],
    none: () => [],
  };
  if (!knowsOperations(backend)) return false;
  for (const [name, { inputs: order, attributes, outputs }] of Object.entries(KERNELS)) {
    const op = OWN_KERNEL_PREFIX + name;
    if (tf.getKernel(op, "tensorflow")) tf.unregisterKernel(op, "tensorflow");
    tf.registerKernel({
      kernelName: op,
      backendName: "tensorflow",
      // The backend that is passed, not the one above: while a step is traced it is another.
      kernelFunc: ({ inputs, attrs, backend: current }) => {
        const on = current as NodeJSKernelBackend;
        const list = order.map((input) => inputs[input]!);
        const options = given[attributes](attrs as unknown as Attributes);
        return outputs === 1
          ? on.executeSingleOutput(op, options, list as tf.Tensor[])
          : on.executeMultipleOutputs(op, options, list as tf.Tensor[], outputs);
      },
    });
  }
  return true;
}

/** The addon leaves the operations out on a processor without AVX2. */
function knowsOperations(backend: NodeJSKernelBackend): boolean {
  const x = tf.engine().makeTensor(new Float32Array(2), [1, 2], "float32", backend as unknown as tf.KernelBackend);
  try {
    tf.engine().disposeTensor(backend.executeSingleOutput(`${OWN_KERNEL_PREFIX}Gate`, [], [x]) as tf.Tensor);
    return true;
  } catch {
    return false;
  } finally {
    x.dispose();
  }
}
