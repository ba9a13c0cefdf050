/** Records what a function of tensors does, without computing anything. */
import * as tf from "@tensorflow/tfjs-core";
import { NodeJSKernelBackend } from "@tensorflow/tfjs-node-gpu/dist/nodejs_kernel_backend.js";
import type { TFEOpAttr, TFJSBinding } from "@tensorflow/tfjs-node-gpu/dist/tfjs_binding.js";
import {
  type Attribute,
  type Constant,
  type DType,
  elementCount,
  type Graph,
  type GraphNode,
  type ValueId,
  type ValueType,
} from "./graph.ts";
import { type Operand, ruleOf } from "./shapes.ts";

/** Tensors that a traced function may make out of numbers, unless all their numbers are equal. */
const LARGEST_LITERAL = 1024;

/** tfjs knows the backend by this name while a trace is made. */
const TRACING = "trace";

/**
 * The graph of a pure function: every tensor it reads must be among its inputs or made by itself.
 *
 * A backend of its own stands in for TensorFlow's while the function runs: tfjs-node's kernels tell it which operation
 * they want, and it notes that and answers with a tensor that has a shape and no numbers. Needs the TensorFlow engine.
 *
 * @param types of the inputs
 * @param without names of kernels that must not be used: what asks for one composes it from others
 * @param also    kernels there are beside those of the engine
 * @throws UnsupportedOp for an operation without a shape rule
 * @throws Error where the function reads a tensor's numbers or uses a tensor from outside
 */
export function trace(
  traced: (inputs: tf.Tensor[]) => readonly tf.Tensor[],
  types: readonly ValueType[],
  without: (kernelName: string) => boolean = () => false,
  also: readonly Omit<tf.KernelConfig, "backendName">[] = [],
): Graph {
  const live = tf.findBackend("tensorflow") as unknown as NodeJSKernelBackend | null;
  if (!live) throw new Error("tracing needs the TensorFlow engine, which was not started");
  const recorder = new Recorder(live.binding);
  const before = tf.getBackend();
  tf.registerBackend(TRACING, () => recorder as unknown as tf.KernelBackend, -1);
  for (const kernel of tf.getKernelsForBackend("tensorflow")) {
    if (!without(kernel.kernelName)) tf.registerKernel({ ...kernel, backendName: TRACING });
  }
  for (const kernel of also) tf.registerKernel({ ...kernel, backendName: TRACING });
  try {
    void tf.setBackend(TRACING); // takes effect at once, since our backend needs no time to start
    let graph: Graph | undefined;
    const alive = tf.memory().numTensors;
    tf.tidy(() => {
      const inputs = types.map((type) => recorder.input(type));
      graph = recorder.graph(inputs, traced(inputs));
    });
    const kept = tf.memory().numTensors - alive;
    if (kept !== 0) throw new Error(`the traced function is not pure: ${kept} tensors outlive it beside its results`);
    return graph!;
  } finally {
    recorder.disposeAll();
    void tf.setBackend(before);
    for (const { kernelName } of tf.getKernelsForBackend(TRACING)) tf.unregisterKernel(kernelName, TRACING);
    tf.removeBackend(TRACING);
  }
}

/** A TensorFlow backend that writes down operations instead of running them. */
class Recorder extends NodeJSKernelBackend {
  readonly #values: ValueType[] = [];
  readonly #constants = new Map<ValueId, Constant>();
  readonly #nodes: GraphNode[] = [];
  readonly #ids = new Map<object, ValueId>();
  readonly #references = new Map<object, number>();
  readonly #tensors: tf.Tensor[] = [];
  #lastOp = "the start";

  constructor(binding: TFJSBinding) {
    super(binding, TRACING);
  }

  input(type: ValueType): tf.Tensor {
    return this.#tensor(this.#define(type));
  }

  graph(inputs: readonly tf.Tensor[], outputs: readonly tf.Tensor[]): Graph {
    const idsOf = (tensors: readonly tf.Tensor[]): ValueId[] => tensors.map((tensor) => this.#idOf(tensor, "the result"));
    return { values: this.#values, constants: this.#constants, nodes: this.#nodes, inputs: idsOf(inputs), outputs: idsOf(outputs) };
  }

  /** Also what the function kept on purpose: after an error nothing else would free it. */
  disposeAll(): void {
    tf.dispose(this.#tensors);
  }

  override executeSingleOutput(op: string, attributes: TFEOpAttr[], inputs: tf.TensorInfo[]): never {
    return this.#record(op, attributes, inputs)[0] as never;
  }

  override executeMultipleOutputs(op: string, attributes: TFEOpAttr[], inputs: tf.TensorInfo[]): never {
    return this.#record(op, attributes, inputs) as never;
  }

  override write(numbers: ArrayLike<unknown>, shape: number[], dtype: tf.DataType): object {
    const dataId = {};
    this.move(dataId, numbers, shape, dtype, 1);
    return dataId;
  }

  override move(dataId: object, numbers: ArrayLike<unknown>, shape: number[], dtype: tf.DataType, references: number): void {
    const type = { dtype: asDType(dtype), shape };
    const values = numbers as ArrayLike<number>;
    const splat = values.length > 0 && Array.prototype.every.call(values, (v) => Object.is(v, values[0]));
    if (!splat && elementCount(shape) > LARGEST_LITERAL) {
      throw new Error(`the traced function makes a tensor [${shape}] from numbers (after ${this.#lastOp}); pass it as an input`);
    }
    const id = this.#define(type);
    this.#constants.set(id, { numbers: Array.from(splat ? [values[0]!] : values, Number) });
    this.#ids.set(dataId, id);
    this.#references.set(dataId, references);
  }

  override readSync(dataId: object): never {
    const id = this.#ids.get(dataId);
    const from = this.#nodes.find(({ outputs }) => outputs.includes(id!));
    throw new Error(
      `the traced function reads the numbers of a tensor (${from ? `a result of ${from.op}` : "an input or constant"}), which has none yet`,
    );
  }

  override async read(dataId: object): Promise<never> {
    return this.readSync(dataId);
  }

  override disposeData(dataId: object, force = false): boolean {
    const left = this.refCount(dataId) - 1;
    this.#references.set(dataId, left);
    if (left > 0 && !force) return false;
    this.#references.delete(dataId);
    this.#ids.delete(dataId);
    return true;
  }

  override refCount(dataId: object): number {
    return this.#references.get(dataId) ?? 0;
  }

  override incRef(dataId: object): void {
    this.#references.set(dataId, this.refCount(dataId) + 1);
  }

  override numDataIds(): number {
    return this.#ids.size;
  }

  #record(op: string, given: readonly TFEOpAttr[], inputs: readonly tf.TensorInfo[]): tf.Tensor[] {
    this.#lastOp = op;
    const rule = ruleOf(op);
    const ids = inputs.map((input) => this.#idOf(input, op));
    const operands = ids.map((id) => this.#operand(id));
    const attributes = { ...rule.inferred?.(operands), ...Object.fromEntries(given.map((a) => [a.name, this.#attribute(op, a)])) };
    const outputs = rule.types(operands, attributes).map((type) => this.#define(type));
    this.#nodes.push({ op, attributes, inputs: ids, outputs });
    return outputs.map((id) => this.#tensor(id));
  }

  #define(type: ValueType): ValueId {
    this.#values.push(type);
    return this.#values.length - 1;
  }

  #tensor(id: ValueId): tf.Tensor {
    const { shape, dtype } = this.#values[id]!;
    const dataId = {};
    this.#ids.set(dataId, id);
    this.#references.set(dataId, 1);
    const tensor = tf
      .engine()
      .makeTensorFromTensorInfo({ dataId, shape: [...shape], dtype: dtype as tf.DataType }, this as unknown as tf.KernelBackend);
    this.#tensors.push(tensor);
    return tensor;
  }

  #idOf({ dataId, shape }: tf.TensorInfo, reader: string): ValueId {
    const id = this.#ids.get(dataId);
    if (id === undefined) throw new Error(`${reader} uses a tensor [${shape}] from outside the traced function; pass it as an input`);
    return id;
  }

  #operand(id: ValueId): Operand {
    const type = this.#values[id]!;
    const numbers = this.#constants.get(id)?.numbers;
    if (!numbers) return type;
    const all =
      numbers.length === 1
        ? Array.from({ length: Math.min(elementCount(type.shape), LARGEST_LITERAL) }, () => numbers[0]!)
        : Array.from(numbers);
    return { ...type, numbers: all };
  }

  #attribute(op: string, { name, type, value }: TFEOpAttr): Attribute {
    const { binding } = this;
    if (type === binding.TF_ATTR_TYPE) return { type: this.#dtypeOf(value as number) };
    if (type === binding.TF_ATTR_BOOL) return { bool: Boolean(value) };
    if (type === binding.TF_ATTR_INT) return { int: value as number };
    if (type === binding.TF_ATTR_FLOAT) return { float: value as number };
    throw new Error(`attribute ${name} of ${op} is of a kind that cannot be traced`);
  }

  #dtypeOf(number: number): DType {
    if (number === this.binding.TF_FLOAT) return "float32";
    if (number === this.binding.TF_INT32) return "int32";
    if (number === this.binding.TF_BOOL) return "bool";
    throw new Error(`TensorFlow dtype ${number} cannot be traced (float32, int32 and bool can)`);
  }
}

function asDType(dtype: tf.DataType): DType {
  if (dtype === "float32" || dtype === "int32" || dtype === "bool") return dtype;
  throw new Error(`dtype ${dtype} cannot be traced (float32, int32 and bool can)`);
}
