/** Counts the work of a graph: floating-point operations of its matrix products, and bytes that pass through memory. */
import { byteCount, elementCount, type Graph, type GraphNode, type ValueId } from "./graph.ts";
import { boolAttribute, intAttribute, lastTwo, ruleOf } from "./shapes.ts";

export interface WorkCounts {
  /** of the matrix products, exactly: 2 per multiply-add. Everything else is bound by memory */
  readonly flops: number;
  /**
   * read and written, as a compiler that joins elementwise operations would: a value is written once if an operation
   * other than an elementwise one makes or reads it, and read once by each such group; other values never leave the
   * processor. Caches are not counted, nor are softmax's passes over its rows (one is).
   */
  readonly bytes: number;
  readonly operations: number;
  readonly matrixProducts: number;
}

/** Products [T, T] x size of a head in our own kernels, those done anew for the gradient not counted. */
const ATTENTION_PRODUCTS: Readonly<Record<string, number>> = { TrmAttend: 2, TrmAttendGrad: 4 };
const PRODUCTS = new Set(["MatMul", "BatchMatMulV2"]);

/** Counts a (simplified) graph. */
export function countWork(graph: Graph): WorkCounts {
  let flops = 0;
  let matrixProducts = 0;
  for (const node of graph.nodes) {
    const heads = ATTENTION_PRODUCTS[node.op];
    if (heads) {
      const [batch, positions, count, size] = ["batch", "positions", "heads", "head_size"].map((name) =>
        intAttribute(node.attributes, name),
      );
      flops += heads * 2 * batch! * count! * positions! ** 2 * size!;
      matrixProducts += heads;
    }
    if (!PRODUCTS.has(node.op)) continue;
    const inner = lastTwo(graph.values[node.inputs[0]!]!, boolAttribute(node.attributes, "adj_x"))[1];
    flops += 2 * inner * elementCount(graph.values[node.outputs[0]!]!.shape);
    matrixProducts++;
  }
  return { flops, bytes: memoryTraffic(graph), operations: graph.nodes.length, matrixProducts };
}

function memoryTraffic(graph: Graph): number {
  const inMemory = valuesInMemory(graph);
  const producer = new Map<ValueId, GraphNode>();
  for (const node of graph.nodes) for (const id of node.outputs) producer.set(id, node);
  const size = (id: ValueId): number => byteCount(graph.values[id]!);

  /** Values in memory that must be read to compute a value, through elementwise operations that are never stored. */
  const sources = (node: GraphNode, found = new Set<ValueId>(), seen = new Set<ValueId>()): Set<ValueId> => {
    for (const id of node.inputs) {
      if (seen.has(id)) continue;
      seen.add(id);
      const from = producer.get(id);
      if (inMemory.has(id)) found.add(id);
      else if (from) sources(from, found, seen);
    }
    return found;
  };

  let bytes = 0;
  for (const node of graph.nodes) {
    const stored = node.outputs.filter((id) => inMemory.has(id));
    if (stored.length === 0) continue;
    for (const id of stored) bytes += size(id);
    // A slice or a broadcast reads no more than it gives, so a source is read at most as far as the result is large…
    const largest = Math.max(...node.outputs.map(size));
    for (const id of sources(node)) bytes += ruleOf(node.op).elementwise ? Math.min(size(id), largest) : size(id);
  }
  return bytes;
}

/** Inputs, outputs, and everything that an operation other than an elementwise one makes or reads. */
function valuesInMemory(graph: Graph): Set<ValueId> {
  const inMemory = new Set<ValueId>([...graph.inputs, ...graph.outputs]);
  for (const { op, inputs, outputs } of graph.nodes) {
    if (ruleOf(op).elementwise) continue;
    for (const id of outputs) inMemory.add(id);
    // Products and moves read tensors from memory; reductions take an elementwise result as it comes.
    if (!REDUCTIONS.has(op)) for (const id of inputs) if (!graph.constants.has(id)) inMemory.add(id);
  }
  return inMemory;
}

const REDUCTIONS = new Set(["Sum", "Mean", "Max", "Min", "ArgMax", "Softmax"]);
