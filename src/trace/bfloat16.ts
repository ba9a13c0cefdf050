/** Matrix products in bfloat16, written into a graph as casts around them. */
import type { Graph, GraphNode, ValueId, ValueType } from "./graph.ts";

/**
 * The graph with operands of matrix products rounded to bfloat16, each once, and their results cast back to float32.
 *
 * New values come after the old ones, which keep their numbers.
 */
export function withBfloat16Products(graph: Graph): Graph {
  const values: ValueType[] = [...graph.values];
  const nodes: GraphNode[] = [];
  const rounded = new Map<ValueId, ValueId>();
  const inBfloat16 = (id: ValueId): ValueId => values.push({ dtype: "bfloat16", shape: values[id]!.shape }) - 1;
  const round = (id: ValueId): ValueId => {
    let result = rounded.get(id);
    if (result === undefined) {
      result = inBfloat16(id);
      rounded.set(id, result);
      nodes.push(cast(id, "float32", result, "bfloat16"));
    }
    return result;
  };
  for (const node of graph.nodes) {
    if (node.op !== "BatchMatMulV2") {
      nodes.push(node);
      continue;
    }
    const inputs = node.inputs.map(round);
    const product = inBfloat16(node.outputs[0]!);
    nodes.push({ ...node, attributes: { ...node.attributes, T: { type: "bfloat16" } }, inputs, outputs: [product] });
    nodes.push(cast(product, "bfloat16", node.outputs[0]!, "float32"));
  }
  return { ...graph, values, nodes };
}

function cast(from: ValueId, of: "float32" | "bfloat16", to: ValueId, wanted: "float32" | "bfloat16"): GraphNode {
  return { op: "Cast", attributes: { SrcT: { type: of }, DstT: { type: wanted } }, inputs: [from], outputs: [to] };
}
