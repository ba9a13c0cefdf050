/** What each TensorFlow operation gives for what it is given: dtypes and shapes, without running it. */
import type { Attribute, DType, GraphNode, ValueType } from "./graph.ts";

/** A value that an operation reads: its type, and its numbers where they are known while tracing. */
export interface Operand extends ValueType {
  readonly numbers?: readonly number[] | undefined;
}

/** Thrown for an operation that has no rule here. */
export class UnsupportedOp extends Error {
  override readonly name = "UnsupportedOp";

  constructor(readonly op: string) {
    super(`operation ${op} cannot be traced: src/trace/shapes.ts has no rule for it`);
  }
}

type Attributes = GraphNode["attributes"];

/** How an operation is traced. */
export interface OpRule {
  /** name of its output in TensorFlow's definition, which a function's body refers to */
  readonly output: string;
  /** types of its outputs; all outputs of an operation share one name */
  readonly types: (inputs: readonly Operand[], attributes: Attributes) => readonly ValueType[];
  /** computes each element from elements at the same place: a compiler joins it with its neighbours */
  readonly elementwise?: true;
  /** attributes that tfjs leaves to TensorFlow to infer */
  readonly inferred?: (inputs: readonly Operand[]) => Attributes;
}

/** The rule of an operation. */
export function ruleOf(op: string): OpRule {
  const rule = RULES[op];
  if (!rule) throw new UnsupportedOp(op);
  return rule;
}

/** Names of all operations that can be traced. */
export function supportedOps(): string[] {
  return Object.keys(RULES);
}

const RULES: Readonly<Record<string, OpRule>> = {
  ...same("y", "Neg Square Sqrt Rsqrt Reciprocal Exp Log Log1p Abs Sign Sigmoid Tanh ZerosLike OnesLike LogicalNot"),
  ...same("activations", "Relu"),
  ...broadcast("z", "Add AddV2 Sub Mul Div RealDiv Maximum Minimum Pow Atan2 SquaredDifference LogicalAnd LogicalOr"),
  ...broadcast("z", "Equal NotEqual Greater GreaterEqual Less LessEqual", "bool"),
  ...reduction("Sum Mean Max Min"),
  Softmax: { output: "softmax", types: ([x]) => [typeOf(x!)] },
  AddN: { output: "sum", elementwise: true, types: ([x]) => [typeOf(x!)] },
  Cast: { output: "y", elementwise: true, types: ([x], a) => [{ dtype: typeAttribute(a, "DstT"), shape: x!.shape }] },
  Select: { output: "output", elementwise: true, types: ([, x]) => [typeOf(x!)] },
  Identity: { output: "output", elementwise: true, types: ([x]) => [typeOf(x!)] },
  Reshape: {
    output: "output",
    elementwise: true,
    types: ([x, shape]) => [{ dtype: x!.dtype, shape: resolveShape(x!.shape, known(shape, "Reshape")) }],
  },
  ExpandDims: {
    output: "output",
    elementwise: true,
    inferred: ([x]) => ({ T: { type: x!.dtype }, Tdim: { type: "int32" } }),
    types: ([x, axis]) => {
      const at = known(axis, "ExpandDims")[0]!;
      const shape = [...x!.shape];
      shape.splice(at < 0 ? shape.length + 1 + at : at, 0, 1);
      return [{ dtype: x!.dtype, shape }];
    },
  },
  Transpose: {
    output: "y",
    types: ([x, perm]) => [{ dtype: x!.dtype, shape: known(perm, "Transpose").map((axis) => x!.shape[axis]!) }],
  },
  Slice: {
    output: "output",
    elementwise: true,
    types: ([x, begin, size]) => {
      const from = known(begin, "Slice");
      return [{ dtype: x!.dtype, shape: known(size, "Slice").map((n, axis) => (n === -1 ? x!.shape[axis]! - from[axis]! : n)) }];
    },
  },
  SplitV: {
    output: "output",
    elementwise: true,
    types: ([x, sizes, axis]) => known(sizes, "SplitV").map((n) => withAxis(x!, known(axis, "SplitV")[0]!, n)),
  },
  ConcatV2: {
    output: "output",
    types: (inputs) => {
      const parts = inputs.slice(0, -1);
      const axis = axisOf(known(inputs.at(-1), "ConcatV2")[0]!, parts[0]!);
      const total = parts.reduce((sum, { shape }) => sum + shape[axis]!, 0);
      return [withAxis(parts[0]!, axis, total)];
    },
  },
  Pack: {
    output: "output",
    types: (inputs, a) => {
      const shape = [...inputs[0]!.shape];
      const axis = intAttribute(a, "axis");
      shape.splice(axis < 0 ? shape.length + 1 + axis : axis, 0, inputs.length);
      return [{ dtype: inputs[0]!.dtype, shape }];
    },
  },
  Unpack: {
    output: "output",
    elementwise: true,
    types: ([x], a) => {
      const axis = axisOf(intAttribute(a, "axis"), x!);
      const shape = x!.shape.filter((_, i) => i !== axis);
      return Array.from({ length: intAttribute(a, "num") }, () => ({ dtype: x!.dtype, shape }));
    },
  },
  Tile: {
    output: "output",
    elementwise: true,
    types: ([x, multiples]) => [{ dtype: x!.dtype, shape: known(multiples, "Tile").map((n, axis) => n * x!.shape[axis]!) }],
  },
  PadV2: {
    output: "output",
    elementwise: true,
    types: ([x, paddings]) => {
      const sizes = known(paddings, "PadV2");
      return [{ dtype: x!.dtype, shape: x!.shape.map((n, axis) => sizes[2 * axis]! + n + sizes[2 * axis + 1]!) }];
    },
  },
  Fill: { output: "output", elementwise: true, types: ([shape, value]) => [{ dtype: value!.dtype, shape: known(shape, "Fill") }] },
  OneHot: {
    output: "output",
    elementwise: true,
    types: ([indices, depth, on], a) => {
      if (intAttribute(a, "axis") !== -1) throw new UnsupportedOp("OneHot along another axis than the last");
      return [{ dtype: on!.dtype, shape: [...indices!.shape, known(depth, "OneHot")[0]!] }];
    },
  },
  ArgMax: {
    output: "output",
    types: ([x, axis], a) => {
      const at = axisOf(known(axis, "ArgMax")[0]!, x!);
      return [{ dtype: typeAttribute(a, "output_type"), shape: x!.shape.filter((_, i) => i !== at) }];
    },
  },
  TrmFusedAttend: {
    output: "output",
    types: ([q]) => {
      const [batch, positions, heads, size] = q!.shape as [number, number, number, number];
      return [
        { dtype: "float32", shape: [batch, heads, positions, size] },
        { dtype: "float32", shape: [batch, heads, positions] },
      ];
    },
  },
  TrmFusedAttendGrad: {
    output: "output",
    types: ([q]) => {
      const [batch, positions, heads, size] = q!.shape as [number, number, number, number];
      return Array.from({ length: 3 }, () => ({ dtype: "float32", shape: [batch, heads, positions, size] }));
    },
  },
  XlaCustomCallV2: {
    output: "results",
    types: (_, { result_dtypes, result_shapes }) => {
      if (!result_dtypes || !("types" in result_dtypes) || !result_shapes || !("shapes" in result_shapes))
        throw new UnsupportedOp("XlaCustomCallV2 without types of its results");
      return result_dtypes.types.map((dtype, i) => ({ dtype, shape: result_shapes.shapes[i]! }));
    },
  },
  TrmAttend: { output: "output", types: ([qkv]) => [{ dtype: "float32", shape: [qkv!.shape[0]!, qkv!.shape[1]! / 3] }] },
  TrmAttendGrad: { output: "output", types: ([, qkv]) => [typeOf(qkv!)] },
  TrmAddRmsNorm: { output: "output", types: ([x]) => [typeOf(x!), { dtype: "float32", shape: [x!.shape[0]!, 1] }] },
  TrmAddRmsNormGrad: { output: "output", types: ([dy]) => [typeOf(dy!)] },
  TrmGate: { output: "output", types: ([x]) => [{ dtype: "float32", shape: [x!.shape[0]!, x!.shape[1]! / 2] }] },
  TrmGateGrad: { output: "output", types: ([, x]) => [typeOf(x!)] },
  BatchMatMulV2: {
    output: "output",
    types: ([x, y], a) => {
      const [rows, inner] = lastTwo(x!, boolAttribute(a, "adj_x"));
      const [innerOfY, cols] = lastTwo(y!, boolAttribute(a, "adj_y"));
      if (inner !== innerOfY) throw new Error(`product of [${x!.shape}] and [${y!.shape}]: inner sizes ${inner} and ${innerOfY} differ`);
      return [{ dtype: x!.dtype, shape: [...broadcastShapes(x!.shape.slice(0, -2), y!.shape.slice(0, -2)), rows, cols] }];
    },
  },
};

function same(output: string, ops: string): Record<string, OpRule> {
  return eachOf(ops, { output, elementwise: true, types: ([x]) => [typeOf(x!)] });
}

function broadcast(output: string, ops: string, dtype?: DType): Record<string, OpRule> {
  return eachOf(ops, {
    output,
    elementwise: true,
    types: ([x, y]) => [{ dtype: dtype ?? x!.dtype, shape: broadcastShapes(x!.shape, y!.shape) }],
  });
}

function reduction(ops: string): Record<string, OpRule> {
  return eachOf(ops, {
    output: "output",
    types: ([x, axes], a) => {
      const reduced = new Set(known(axes, "reduction").map((axis) => axisOf(axis, x!)));
      const shape = boolAttribute(a, "keep_dims")
        ? x!.shape.map((n, axis) => (reduced.has(axis) ? 1 : n))
        : x!.shape.filter((_, axis) => !reduced.has(axis));
      return [{ dtype: x!.dtype, shape }];
    },
  });
}

function eachOf(ops: string, rule: OpRule): Record<string, OpRule> {
  return Object.fromEntries(ops.split(" ").map((op) => [op, rule]));
}

function typeOf({ dtype, shape }: ValueType): ValueType {
  return { dtype, shape };
}

/** Numbers that shape the result must be known while tracing. */
function known(operand: Operand | undefined, op: string): readonly number[] {
  if (!operand?.numbers) throw new Error(`${op} takes its sizes or axes from a computed tensor; they must be constants to be traced`);
  return operand.numbers;
}

function axisOf(axis: number, { shape }: ValueType): number {
  return axis < 0 ? axis + shape.length : axis;
}

function withAxis({ dtype, shape }: ValueType, axis: number, size: number): ValueType {
  const at = axisOf(axis, { dtype, shape });
  return { dtype, shape: shape.map((n, i) => (i === at ? size : n)) };
}

function resolveShape(from: readonly number[], to: readonly number[]): number[] {
  const total = from.reduce((a, b) => a * b, 1);
  const fixed = to.reduce((a, b) => (b === -1 ? a : a * b), 1);
  return to.map((n) => (n === -1 ? total / fixed : n));
}

/** Shape of an elementwise operation on two tensors, by NumPy's rule. */
export function broadcastShapes(a: readonly number[], b: readonly number[]): number[] {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, i) => {
    const [x, y] = [a[i - rank + a.length] ?? 1, b[i - rank + b.length] ?? 1];
    if (x !== y && x !== 1 && y !== 1) throw new Error(`shapes [${a}] and [${b}] do not broadcast`);
    return x === 1 ? y : x;
  });
}

/** Rows and columns of a matrix or of a batch of them, after transposing. */
export function lastTwo({ shape }: ValueType, transposed: boolean): [number, number] {
  const [rows, cols] = shape.slice(-2) as [number, number];
  return transposed ? [cols, rows] : [rows, cols];
}

function attribute<K extends string>(attributes: Attributes, name: string, kind: K): Extract<Attribute, Record<K, unknown>> {
  const value = attributes[name];
  if (!value || !(kind in value)) throw new Error(`attribute ${name} is ${JSON.stringify(value)}; ${kind} was expected`);
  return value as Extract<Attribute, Record<K, unknown>>;
}

/** A whole-number attribute. */
export function intAttribute(attributes: Attributes, name: string): number {
  return attribute(attributes, name, "int").int;
}

/** A yes-or-no attribute. */
export function boolAttribute(attributes: Attributes, name: string): boolean {
  return attribute(attributes, name, "bool").bool;
}

function typeAttribute(attributes: Attributes, name: string): DType {
  return attribute(attributes, name, "type").type;
}
