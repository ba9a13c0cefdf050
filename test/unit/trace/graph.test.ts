import assert from "node:assert/strict";
import { test } from "node:test";
import { withBfloat16Products } from "../../../src/trace/bfloat16.ts";
import { countWork } from "../../../src/trace/counts.ts";
import { type Graph, type GraphNode, printGraph, type ValueType } from "../../../src/trace/graph.ts";
import { broadcastShapes, ruleOf, UnsupportedOp } from "../../../src/trace/shapes.ts";
import { simplify } from "../../../src/trace/simplify.ts";

const float = (...shape: number[]): ValueType => ({ dtype: "float32", shape });
const node = (op: string, inputs: number[], outputs: number[], attributes: GraphNode["attributes"] = {}): GraphNode => ({
  op,
  inputs,
  outputs,
  attributes,
});

/** y = (x w) * 2 + 1 for x [3, 4] and w [4, 5], with a repeat (value 6), a cast without effect (7) and unused work (8, 9). */
const SMALL: Graph = {
  values: [
    float(3, 4),
    float(4, 5),
    float(),
    float(),
    float(3, 5),
    float(3, 5),
    float(3, 5),
    float(3, 5),
    float(3, 5),
    float(3, 5),
    float(3, 5),
  ],
  inputs: [0, 1],
  constants: new Map([
    [2, { numbers: [2] }],
    [3, { numbers: [1] }],
  ]),
  nodes: [
    node("BatchMatMulV2", [0, 1], [4], { T: { type: "float32" }, adj_x: { bool: false }, adj_y: { bool: false } }),
    node("Mul", [4, 2], [5]),
    node("Mul", [4, 2], [6]),
    node("Cast", [6], [7]),
    node("Exp", [7], [8]),
    node("Neg", [8], [9]),
    node("Add", [7, 3], [10]),
  ],
  outputs: [10],
};

test("a graph is printed one operation a line, constants in place, dtypes left to the values", () => {
  assert.equal(
    printGraph(simplify(SMALL)),
    [
      "inputs %0:float32[3,4] %1:float32[4,5]",
      "%2:float32[3,5] = BatchMatMulV2(%0, %1) adj_x=false adj_y=false",
      "%3:float32[3,5] = Mul(%2, float32[]{2})",
      "%4:float32[3,5] = Add(%3, float32[]{1})",
      "outputs %4",
      "",
    ].join("\n"),
  );
});

test("simplifying drops repeats, casts to the same dtype and what nothing uses, constants too", () => {
  const { nodes, outputs, constants } = simplify({ ...SMALL, outputs: [6, 5] });
  assert.deepEqual(
    nodes.map(({ op }) => op),
    ["BatchMatMulV2", "Mul"],
  );
  assert.deepEqual(outputs, [5, 5]);
  assert.deepEqual([...constants.keys()], [2]);
});

test("a product counts two operations per multiply-add; elementwise operations behind it are one read and one write", () => {
  const counts = countWork(simplify(SMALL));
  assert.equal(counts.flops, 2 * 3 * 4 * 5);
  assert.equal(counts.matrixProducts, 1);
  // product: reads 12 + 20, writes 15 numbers; the rest reads 15 and writes 15
  assert.equal(counts.bytes, 4 * (12 + 20 + 15 + 15 + 15));
});

test("a product in bfloat16 reads and writes two bytes a number; what it reads rounded is not stored unrounded for it alone", () => {
  const graph = withBfloat16Products(simplify(SMALL));
  const { bytes, flops } = countWork(graph);
  assert.equal(flops, 2 * 3 * 4 * 5);
  // rounding reads 12 + 20 numbers of four bytes and writes them in two; the product; the rest reads two bytes and writes four
  assert.equal(bytes, (12 + 20) * (4 + 2) + 2 * (12 + 20 + 15) + 15 * (2 + 4));
  assert.equal(graph.nodes.filter(({ op }) => op === "Cast").length, 3);
});

test("inputs and outputs are what the caller hands over and takes back", () => {
  assert.equal(countWork(simplify(SMALL)).boundaryBytes, 4 * (12 + 20 + 15));
});

test("an operation without a rule is an error with its name", () => {
  assert.throws(
    () => ruleOf("Bincount"),
    (error) => error instanceof UnsupportedOp && error.op === "Bincount" && /Bincount/.test(error.message),
  );
});

test("shapes broadcast as in NumPy, or are refused", () => {
  assert.deepEqual(broadcastShapes([8, 1, 6, 1], [7, 1, 5]), [8, 7, 6, 5]);
  assert.deepEqual(broadcastShapes([], [2, 3]), [2, 3]);
  assert.throws(() => broadcastShapes([2, 3], [2, 4]), /do not broadcast/);
});
