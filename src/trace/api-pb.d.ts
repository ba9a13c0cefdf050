/** The protobuf classes that tfjs-node brings along (it has no types for them): the part that a SavedModel takes. */
declare module "@tensorflow/tfjs-node-gpu/dist/proto/api_pb.js" {
  interface MessageMap<V> {
    set(key: string, value: V): this;
  }

  export class TensorShape {
    addDim(dim: TensorShape.Dim): void;
  }
  export namespace TensorShape {
    class Dim {
      setSize(size: number): void;
    }
  }
  export class Tensor {
    setDtype(dtype: number): void;
    setTensorShape(shape: TensorShape): void;
    setFloatValList(numbers: number[]): void;
    setIntValList(numbers: number[]): void;
    setBoolValList(values: boolean[]): void;
  }
  export class NameAttrList {
    setName(name: string): void;
  }
  export class AttrValue {
    setB(value: boolean): void;
    setI(value: number): void;
    setF(value: number): void;
    setS(value: Uint8Array): void;
    setType(dtype: number): void;
    setShape(shape: TensorShape): void;
    setTensor(tensor: Tensor): void;
    setFunc(name: NameAttrList): void;
    setList(list: AttrValue.ListValue): void;
  }
  export namespace AttrValue {
    class ListValue {
      setTypeList(dtypes: number[]): void;
      setShapeList(shapes: TensorShape[]): void;
    }
  }
  export class NodeDef {
    setName(name: string): void;
    setOp(op: string): void;
    setInputList(inputs: string[]): void;
    getAttrMap(): MessageMap<AttrValue>;
  }
  export class OpDef {
    setName(name: string): void;
    addInputArg(arg: OpDef.ArgDef): void;
    addOutputArg(arg: OpDef.ArgDef): void;
  }
  export namespace OpDef {
    class ArgDef {
      setName(name: string): void;
      setType(dtype: number): void;
    }
  }
  export class FunctionDef {
    setSignature(signature: OpDef): void;
    setNodeDefList(nodes: NodeDef[]): void;
    getAttrMap(): MessageMap<AttrValue>;
    getRetMap(): MessageMap<string>;
  }
  export class FunctionDefLibrary {
    addFunction(definition: FunctionDef): void;
  }
  export class VersionDef {
    setProducer(version: number): void;
  }
  export class GraphDef {
    setNodeList(nodes: NodeDef[]): void;
    setVersions(versions: VersionDef): void;
    setLibrary(library: FunctionDefLibrary): void;
  }
  export class MetaGraphDef {
    setMetaInfoDef(info: MetaGraphDef.MetaInfoDef): void;
    setGraphDef(graph: GraphDef): void;
  }
  export namespace MetaGraphDef {
    class MetaInfoDef {
      addTags(tag: string): void;
    }
  }
  export class SavedModel {
    setSavedModelSchemaVersion(version: number): void;
    addMetaGraphs(graph: MetaGraphDef): void;
    serializeBinary(): Uint8Array;
  }
}
