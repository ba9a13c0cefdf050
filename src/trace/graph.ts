/** The intermediate form of a traced function: TensorFlow operations in order, each on values with known dtype and shape. */

/** tfjs knows neither bfloat16 nor uint8: they come into a graph by `withBfloat16Products` alone. */
export type DType = "float32" | "int32" | "bool" | "bfloat16" | "uint8";

/** What is known of a value before it is computed. */
export interface ValueType {
  readonly dtype: DType;
  readonly shape: readonly number[];
}

/** Index into `Graph.values`. */
export type ValueId = number;

/** A value fixed while tracing. One number stands for a whole tensor of it; else there is one number per element. */
export interface Constant {
  readonly numbers: ArrayLike<number>;
}

/** An attribute of an operation, as TensorFlow tells them apart. */
export type Attribute =
  | { readonly type: DType }
  | { readonly types: readonly DType[] }
  | { readonly shapes: readonly (readonly number[])[] }
  | { readonly int: number }
  | { readonly float: number }
  | { readonly bool: boolean }
  | { readonly text: string };

/** One TensorFlow operation. */
export interface GraphNode {
  /** TensorFlow's name of it */
  readonly op: string;
  readonly attributes: Readonly<Record<string, Attribute>>;
  readonly inputs: readonly ValueId[];
  readonly outputs: readonly ValueId[];
}

/** A pure function of tensors. Every value is an input, a constant or an output of exactly one node; nodes follow what they read. */
export interface Graph {
  readonly values: readonly ValueType[];
  readonly inputs: readonly ValueId[];
  readonly constants: ReadonlyMap<ValueId, Constant>;
  readonly nodes: readonly GraphNode[];
  readonly outputs: readonly ValueId[];
}

/** Number of elements of a shape. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, n) => product * n, 1);
}

/** Bytes of a value in memory. */
export function byteCount({ dtype, shape }: ValueType): number {
  return elementCount(shape) * BYTES_OF[dtype];
}

const BYTES_OF: Readonly<Record<DType, number>> = { float32: 4, int32: 4, bool: 1, bfloat16: 2, uint8: 1 };

/** `float32[2,3]` */
export function printType({ dtype, shape }: ValueType): string {
  return `${dtype}[${shape.join(",")}]`;
}

/**
 * The graph as text, one line an operation, values numbered in the order of appearance, constants written in place:
 *
 *     inputs %0:float32[2,3]
 *     %1:float32[2] = Sum(%0, int32[1]{1}) keep_dims=false
 *     outputs %1
 */
export function printGraph(graph: Graph): string {
  const numbers = new Map<ValueId, number>();
  const define = (id: ValueId): string => {
    numbers.set(id, numbers.size);
    return `%${numbers.get(id)}:${printType(graph.values[id]!)}`;
  };
  const use = (id: ValueId): string => {
    const constant = graph.constants.get(id);
    return constant ? `${printType(graph.values[id]!)}{${printNumbers(constant)}}` : `%${numbers.get(id)}`;
  };
  const lines = [["inputs", ...graph.inputs.map(define)].join(" ")];
  for (const { op, attributes, inputs, outputs } of graph.nodes) {
    const call = `${op}(${inputs.map(use).join(", ")})`;
    lines.push([outputs.map(define).join(" "), "=", call, ...printAttributes(attributes)].join(" "));
  }
  lines.push(["outputs", ...graph.outputs.map(use)].join(" "));
  return `${lines.join("\n")}\n`;
}

function printNumbers({ numbers }: Constant): string {
  const shown = Array.from(numbers).slice(0, 8).join(",");
  return numbers.length > 8 ? `${shown},…` : shown;
}

/** Dtypes are left out: they can be read off the values. */
function printAttributes(attributes: GraphNode["attributes"]): string[] {
  return Object.entries(attributes).flatMap(([name, value]) =>
    "type" in value || "types" in value || "shapes" in value ? [] : [`${name}=${Object.values(value)[0]}`],
  );
}
