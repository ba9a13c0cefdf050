/** Writes a graph as a TensorFlow SavedModel: one function, which XLA compiles or TensorFlow runs as it is. */
import * as pb from "@tensorflow/tfjs-node-gpu/dist/proto/api_pb.js";
import { withBfloat16Products } from "./bfloat16.ts";
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
import { ruleOf } from "./shapes.ts";

export interface EmitOptions {
  /** compiled by XLA, or TensorFlow's own graph executor with its optimizers */
  readonly target: "xla" | "graph";
  /** bfloat16: operands of matrix products are rounded to it, their results come back as float32 */
  readonly precision: "float32" | "bfloat16";
}

/** A model to load, and what to call things in it. */
export interface EmittedModel {
  /** content of `saved_model.pb` */
  readonly bytes: Uint8Array;
  /** one per input of the graph, as a session feeds it */
  readonly inputNames: readonly string[];
  /** one per output of the graph, as a session fetches it */
  readonly outputNames: readonly string[];
}

/** Tag under which the loader finds the graph. */
export const MODEL_TAG = "serve";

/** Version of GraphDef that TensorFlow 2.9 and later read alike. */
const GRAPH_PRODUCER = 1087;

const FUNCTION = "step_function";
const CALL = "step";

/** TensorFlow's numbers of dtypes. */
const TF_DTYPE: Readonly<Record<DType, number>> = { float32: 1, int32: 3, bool: 10, bfloat16: 14, uint8: 4 };

/** The graph as a SavedModel. */
export function emit(graph: Graph, options: EmitOptions): EmittedModel {
  const inputTypes = graph.inputs.map((id) => graph.values[id]!);
  const outputTypes = graph.outputs.map((id) => graph.values[id]!);
  const placeholders = inputTypes.map(({ dtype, shape }, i) =>
    node(`x${i}`, "Placeholder", [], { dtype: type(dtype), shape: shapeAttribute(shape) }),
  );
  const call = node(
    CALL,
    "StatefulPartitionedCall",
    inputTypes.map((_, i) => `x${i}`),
    { Tin: types(inputTypes), Tout: types(outputTypes), f: functionAttribute(FUNCTION), ...compileAttributes(options) },
  );
  const library = new pb.FunctionDefLibrary();
  library.addFunction(functionOf(options.precision === "bfloat16" ? withBfloat16Products(graph) : graph, options));
  const versions = new pb.VersionDef();
  versions.setProducer(GRAPH_PRODUCER);
  const graphDef = new pb.GraphDef();
  graphDef.setNodeList([...placeholders, call]);
  graphDef.setLibrary(library);
  graphDef.setVersions(versions);
  const info = new pb.MetaGraphDef.MetaInfoDef();
  info.addTags(MODEL_TAG);
  const meta = new pb.MetaGraphDef();
  meta.setMetaInfoDef(info);
  meta.setGraphDef(graphDef);
  const model = new pb.SavedModel();
  model.setSavedModelSchemaVersion(1);
  model.addMetaGraphs(meta);
  return {
    bytes: model.serializeBinary(),
    inputNames: inputTypes.map((_, i) => `x${i}:0`),
    outputNames: outputTypes.map((_, i) => `${CALL}:${i}`),
  };
}

/**
 * `_XlaMustCompile`: compile the whole function or fail, never a part of it. `_tf_data_function` keeps TensorFlow's
 * graph optimizer out of the function, which would put in operations that XLA does not know.
 */
function compileAttributes({ target }: EmitOptions): Record<string, pb.AttrValue> {
  return target === "xla" ? { _XlaMustCompile: bool(true), _tf_data_function: bool(true) } : {};
}

function functionOf(graph: Graph, options: EmitOptions): pb.FunctionDef {
  const signature = new pb.OpDef();
  signature.setName(FUNCTION);
  /** how the body refers to a value */
  const references = new Map<ValueId, string>();
  graph.inputs.forEach((id, i) => {
    signature.addInputArg(argument(`x${i}`, graph.values[id]!.dtype));
    references.set(id, `x${i}`);
  });
  const nodes: pb.NodeDef[] = [];
  for (const [id, constant] of graph.constants) {
    nodes.push(constantNode(`c${id}`, graph.values[id]!, constant));
    references.set(id, `c${id}:output:0`);
  }
  for (const operation of graph.nodes) addOperation(operation, references, nodes);
  const definition = new pb.FunctionDef();
  graph.outputs.forEach((id, i) => {
    signature.addOutputArg(argument(`y${i}`, graph.values[id]!.dtype));
    definition.getRetMap().set(`y${i}`, references.get(id)!);
  });
  definition.setSignature(signature);
  definition.setNodeDefList(nodes);
  for (const [name, value] of Object.entries(compileAttributes(options))) definition.getAttrMap().set(name, value);
  return definition;
}

/** Each under the number of its first output. */
function addOperation({ op, attributes, inputs, outputs }: GraphNode, references: Map<ValueId, string>, nodes: pb.NodeDef[]): void {
  const name = `n${outputs[0]}`;
  const { output } = ruleOf(op);
  const given = Object.fromEntries(Object.entries(attributes).map(([key, value]) => [key, attributeValue(value)]));
  nodes.push(node(name, op, inputs.map((id) => references.get(id)!), given)); // biome-ignore format: one node a line
  outputs.forEach((id, i) => {
    references.set(id, `${name}:${output}:${i}`);
  });
}

function node(name: string, op: string, inputs: string[], attributes: Record<string, pb.AttrValue>): pb.NodeDef {
  const result = new pb.NodeDef();
  result.setName(name);
  result.setOp(op);
  result.setInputList(inputs);
  for (const [key, value] of Object.entries(attributes)) result.getAttrMap().set(key, value);
  return result;
}

/** A list of one number stands for a tensor full of it, in TensorFlow as here. */
function constantNode(name: string, { dtype, shape }: ValueType, { numbers }: Constant): pb.NodeDef {
  const tensor = new pb.Tensor();
  tensor.setDtype(TF_DTYPE[dtype]);
  tensor.setTensorShape(tensorShape(shape));
  const list = elementCount(shape) === 0 ? [] : Array.from(numbers);
  if (dtype === "float32") tensor.setFloatValList(list);
  else if (dtype === "int32") tensor.setIntValList(list);
  else tensor.setBoolValList(list.map(Boolean));
  return node(name, "Const", [], { dtype: type(dtype), value: attributeOf((a) => a.setTensor(tensor)) });
}

function argument(name: string, dtype: DType): pb.OpDef.ArgDef {
  const result = new pb.OpDef.ArgDef();
  result.setName(name);
  result.setType(TF_DTYPE[dtype]);
  return result;
}

function tensorShape(shape: readonly number[]): pb.TensorShape {
  const result = new pb.TensorShape();
  for (const size of shape) {
    const dim = new pb.TensorShape.Dim();
    dim.setSize(size);
    result.addDim(dim);
  }
  return result;
}

function attributeOf(set: (attribute: pb.AttrValue) => void): pb.AttrValue {
  const result = new pb.AttrValue();
  set(result);
  return result;
}

function attributeValue(attribute: Attribute): pb.AttrValue {
  if ("type" in attribute) return type(attribute.type);
  if ("types" in attribute) return types(attribute.types.map((dtype) => ({ dtype })));
  if ("shapes" in attribute) return shapes(attribute.shapes);
  if ("text" in attribute) return attributeOf((a) => a.setS(new TextEncoder().encode(attribute.text)));
  if ("bool" in attribute) return bool(attribute.bool);
  return attributeOf((a) => ("int" in attribute ? a.setI(attribute.int) : a.setF(attribute.float)));
}

function type(dtype: DType): pb.AttrValue {
  return attributeOf((a) => a.setType(TF_DTYPE[dtype]));
}

function bool(value: boolean): pb.AttrValue {
  return attributeOf((a) => a.setB(value));
}

function shapeAttribute(shape: readonly number[]): pb.AttrValue {
  return attributeOf((a) => a.setShape(tensorShape(shape)));
}

function types(values: readonly Pick<ValueType, "dtype">[]): pb.AttrValue {
  const list = new pb.AttrValue.ListValue();
  list.setTypeList(values.map(({ dtype }) => TF_DTYPE[dtype]));
  return attributeOf((a) => a.setList(list));
}

function shapes(list: readonly (readonly number[])[]): pb.AttrValue {
  const value = new pb.AttrValue.ListValue();
  value.setShapeList(list.map(tensorShape));
  return attributeOf((a) => a.setList(value));
}

function functionAttribute(name: string): pb.AttrValue {
  const list = new pb.NameAttrList();
  list.setName(name);
  return attributeOf((a) => a.setFunc(list));
}
