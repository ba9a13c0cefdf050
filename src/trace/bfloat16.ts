/** Matrix products and fused attention in bfloat16, written into a graph as casts around them. */
import { attentionCall, isFusedAttention } from "./fused-attention.ts";
import type { DType, Graph, GraphNode, ValueId, ValueType } from "./graph.ts";

/**
 * The graph with operands of matrix products rounded to bfloat16, each once, and their results cast back to float32; fused
 * attention becomes XLA's call.
 *
 * New values come after the old ones, which keep their numbers.
 */
export function withBfloat16Products(graph: Graph): Graph {
  const values: ValueType[] = [...graph.values];
  const nodes: GraphNode[] = [];
  const rounded = new Map<ValueId, ValueId>();
  const define = (dtype: DType, shape: readonly number[]): ValueId => values.push({ dtype, shape }) - 1;
  const round = (id: ValueId): ValueId => {
    let result = rounded.get(id);
    if (result === undefined) {
      result = define("bfloat16", values[id]!.shape);
      rounded.set(id, result);
      nodes.push(cast(id, "float32", result, "bfloat16"));
    }
    return result;
  };
  for (const node of graph.nodes) {
    if (node.op === "BatchMatMulV2") {
      const inputs = node.inputs.map(round);
      const product = define("bfloat16", values[node.outputs[0]!]!.shape);
      nodes.push({ ...node, attributes: { ...node.attributes, T: { type: "bfloat16" } }, inputs, outputs: [product] });
      nodes.push(cast(product, "bfloat16", node.outputs[0]!, "float32"));
    } else if (isFusedAttention(node)) {
      const { op, attributes, operands, results } = attentionCall(node, values[node.inputs[0]!]!);
      const inputs = node.inputs.map((id, i) => (operands[i] === "bfloat16" ? round(id) : id));
      const outputs = results.map(({ dtype, shape }, i) => (dtype === "float32" ? node.outputs[i]! : define(dtype, shape)));
      nodes.push({ op, attributes, inputs, outputs });
      results.forEach(({ dtype }, i) => {
        if (dtype === "bfloat16") nodes.push(cast(outputs[i]!, "bfloat16", node.outputs[i]!, "float32"));
      });
    } else nodes.push(node);
  }
  return { ...graph, values, nodes };
}

function cast(from: ValueId, of: "float32" | "bfloat16", to: ValueId, wanted: "float32" | "bfloat16"): GraphNode {
  return { op: "Cast", attributes: { SrcT: { type: of }, DstT: { type: wanted } }, inputs: [from], outputs: [to] };
}
