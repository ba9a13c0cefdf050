/** Counts the work of a graph: floating-point operations of its matrix products, and bytes that pass through memory. */
import { fusedAttentionProducts } from "./fused-attention.ts";
import { byteCount, elementCount, type Graph, type GraphNode, type ValueId } from "./graph.ts";
import { boolAttribute, intAttribute, lastTwo, ruleOf } from "./shapes.ts";

export interface WorkCounts {
  /** of the matrix products, exactly: 2 per multiply-add. Everything else is bound by memory */
  readonly flops: number;
  /**
   * read and written, as a compiler that joins elementwise operations would: a value is written once if a product, a
   * reduction or a transposition makes it or a product reads it, and read once by each group of joined operations; other
   * values never leave the processor. Softmax and concatenation join too; shapes change for nothing. Caches are not
   * counted, nor are softmax's passes over its rows (one is).
   */
  readonly bytes: number;
  /** of inputs and outputs: what whoever calls the graph hands over and takes back */
  readonly boundaryBytes: number;
  readonly operations: number;
  readonly matrixProducts: number;
}

/** Products [T, T] x size of a head in our own kernels, those done anew for the gradient not counted. */
const ATTENTION_PRODUCTS: Readonly<Record<string, number>> = { TrmAttend: 2, TrmAttendGrad: 4 };
const PRODUCTS = new Set(["MatMul", "BatchMatMulV2"]);

/** Counts a (simplified) graph, as it is: see `withBfloat16Products` for products in bfloat16. */
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
    const fused = fusedAttentionProducts(node);
    if (fused) {
      const [batch, positions, count, size] = graph.values[node.inputs[0]!]!.shape;
      flops += fused * 2 * batch! * count! * positions! ** 2 * size!;
      matrixProducts += fused;
    }
    if (!PRODUCTS.has(node.op)) continue;
    const inner = lastTwo(graph.values[node.inputs[0]!]!, boolAttribute(node.attributes, "adj_x"))[1];
    flops += 2 * inner * elementCount(graph.values[node.outputs[0]!]!.shape);
    matrixProducts++;
  }
  const boundaryBytes = [...graph.inputs, ...graph.outputs].reduce((sum, id) => sum + byteCount(graph.values[id]!), 0);
  return { flops, bytes: memoryTraffic(graph), boundaryBytes, operations: graph.nodes.length, matrixProducts };
}

function memoryTraffic(given: Graph): number {
  const graph = withoutViews(given);
  const inMemory = valuesInMemory(graph);
  const producer = producers(graph);
  const size = (id: ValueId): number => byteCount(graph.values[id]!);
  const elements = (id: ValueId): number => elementCount(graph.values[id]!.shape);

  /** Values in memory that must be read to compute a value, through joined operations whose results are never stored. */
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
    const [from] = node.inputs;
    if (isRounding(graph, node) && inMemory.has(from!) && producer.has(from!) && joins(producer.get(from!)!)) continue; // written beside it
    // A slice reads no more than it gives, so a source is read at most as far as the result is large.
    const largest = Math.max(...node.outputs.map(elements));
    for (const id of sources(node)) bytes += size(id) * (joins(node) ? Math.min(1, largest / Math.max(1, elements(id))) : 1);
  }
  return bytes;
}

/** The graph without operations that give the same numbers in memory another shape. */
function withoutViews(graph: Graph): Graph {
  const viewed = new Map<ValueId, ValueId>();
  const current = (id: ValueId): ValueId => viewed.get(id) ?? id;
  const nodes: GraphNode[] = [];
  for (const node of graph.nodes) {
    const inputs = node.inputs.map(current);
    if (VIEWS.has(node.op)) viewed.set(node.outputs[0]!, inputs[0]!);
    else nodes.push({ ...node, inputs });
  }
  return { ...graph, nodes, outputs: graph.outputs.map(current) };
}

/** Inputs, outputs, and everything that an operation other than a joined one makes or reads. */
function valuesInMemory(graph: Graph): Set<ValueId> {
  const inMemory = new Set<ValueId>([...graph.inputs, ...graph.outputs]);
  const readers = new Map<ValueId, number>();
  for (const node of graph.nodes) {
    for (const id of node.inputs) readers.set(id, (readers.get(id) ?? 0) + 1);
    if (joins(node)) continue;
    for (const id of node.outputs) inMemory.add(id);
    // Products read tensors from memory; reductions and transpositions take a joined result as it comes.
    if (!TAKE_AS_IT_COMES.has(node.op)) for (const id of node.inputs) if (!graph.constants.has(id)) inMemory.add(id);
  }
  // What a product reads rounded is stored unrounded too if anything else reads it.
  for (const node of graph.nodes) {
    if (isRounding(graph, node) && inMemory.has(node.outputs[0]!) && readers.get(node.inputs[0]!)! > 1) inMemory.add(node.inputs[0]!);
  }
  return inMemory;
}

function producers(graph: Graph): Map<ValueId, GraphNode> {
  return new Map(graph.nodes.flatMap((node) => node.outputs.map((id) => [id, node] as const)));
}

function isRounding({ values }: Graph, { op, outputs }: GraphNode): boolean {
  return op === "Cast" && values[outputs[0]!]!.dtype === "bfloat16";
}

/** Computed on the way between two values in memory. */
function joins({ op }: GraphNode): boolean {
  return ruleOf(op).elementwise === true || op === "Softmax" || op === "ConcatV2";
}

const VIEWS = new Set(["Reshape", "ExpandDims", "Identity"]);
const TAKE_AS_IT_COMES = new Set(["Sum", "Mean", "Max", "Min", "ArgMax", "Transpose"]);
