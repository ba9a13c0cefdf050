/** Makes a graph smaller without changing what it computes. */
import { type Constant, type Graph, type GraphNode, printType, type ValueId } from "./graph.ts";

/**
 * The graph without operations that change nothing or that nothing uses, and with equal operations on equal operands done once.
 *
 * Recording leaves all three behind: tfjs casts float32 to float32, a gradient makes results that no one asks for, and
 * each pass cuts the same slices from the weights.
 */
export function simplify(graph: Graph): Graph {
  return withoutUnused(withoutRepeats(graph));
}

function withoutRepeats(graph: Graph): Graph {
  const kept = new Map<string, readonly ValueId[]>();
  const replaced = new Map<ValueId, ValueId>();
  const current = (id: ValueId): ValueId => replaced.get(id) ?? id;
  for (const [id, constant] of graph.constants) {
    const key = JSON.stringify([graph.values[id], Array.from(constant.numbers)]);
    const first = kept.get(key);
    if (first) replaced.set(id, first[0]!);
    else kept.set(key, [id]);
  }
  const nodes: GraphNode[] = [];
  for (const node of graph.nodes) {
    const inputs = node.inputs.map(current);
    if (changesNothing(graph, node)) {
      replaced.set(node.outputs[0]!, inputs[0]!);
      continue;
    }
    const key = JSON.stringify([node.op, node.attributes, inputs]);
    const first = kept.get(key);
    if (first) {
      node.outputs.forEach((id, i) => {
        replaced.set(id, first[i]!);
      });
    } else {
      kept.set(key, node.outputs);
      nodes.push({ ...node, inputs });
    }
  }
  return { ...graph, nodes, outputs: graph.outputs.map(current) };
}

/** A cast to the same dtype, a reshape to the same shape. */
function changesNothing({ values }: Graph, { op, inputs, outputs }: GraphNode): boolean {
  return RESTATING.has(op) && printType(values[inputs[0]!]!) === printType(values[outputs[0]!]!);
}

const RESTATING = new Set(["Cast", "Reshape", "Identity"]);

function withoutUnused(graph: Graph): Graph {
  const used = new Set(graph.outputs);
  const nodes: GraphNode[] = [];
  for (const node of graph.nodes.toReversed()) {
    if (!node.outputs.some((id) => used.has(id))) continue;
    for (const id of node.inputs) used.add(id);
    nodes.push(node);
  }
  const constants = new Map<ValueId, Constant>([...graph.constants].filter(([id]) => used.has(id)));
  return { ...graph, constants, nodes: nodes.reverse() };
}
