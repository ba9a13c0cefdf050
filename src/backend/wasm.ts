/** The wasm engine: tfjs's wasm backend out of the bundle itself, with kernels of our own where its are slow or missing. */

import { type BackendWasm, setWasmPath } from "@tensorflow/tfjs-backend-wasm";
import tfjsWasm from "@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-simd.wasm";
import * as tf from "@tensorflow/tfjs-core";
import kernelsWasm from "../../.build/kernels.wasm";
import { OWN_KERNEL_PREFIX } from "../model/own-kernel.ts";

/** What `src/backend/kernels/index.ts` exports; pointers are byte offsets, counts are of floats. */
interface KernelExports {
  attend(qkv: number, cos: number, sin: number, out: number, B: number, T: number, heads: number, size: number, scratch: number): void;
  attendGrad(
    dy: number,
    qkv: number,
    cos: number,
    sin: number,
    dqkv: number,
    B: number,
    T: number,
    heads: number,
    size: number,
    scratch: number,
  ): void;
  attendScratch(positions: number, headSize: number): number;
  addRmsNorm(x: number, y: number, normed: number, inverse: number, rows: number, width: number, eps: number): void;
  addRmsNormGrad(dy: number, normed: number, inverse: number, dx: number, rows: number, width: number): void;
  gate(x: number, out: number, rows: number, width: number): void;
  gateGrad(dy: number, x: number, dx: number, rows: number, width: number): void;
  batchedGemm(
    a: number, strideA: number, transA: number,
    b: number, strideB: number, transB: number,
    c: number, count: number, m: number, n: number, k: number, scratch: number,
  ): void; // biome-ignore format: operand by operand
  gemmScratch(n: number): number;
}

/** The parts of the backend's module that are used here; emscripten's names. */
interface EmscriptenModule {
  asm: { memory: WebAssembly.Memory; malloc(bytes: number): number };
  _malloc(bytes: number): number;
  _free(pointer: number): void;
}

/**
 * Starts the backend and registers our kernels.
 *
 * The backend would fetch its module from a path; here it comes out of the bundle, so that one file is enough.
 *
 * @returns a sentence for the log
 */
export async function loadWasm(): Promise<string> {
  const platform = tf.env().platform;
  const fetchBefore = platform.fetch;
  setWasmPath("inside the bundle", true);
  platform.fetch = async () => ({ ok: true, arrayBuffer: async () => tfjsWasm.slice().buffer }) as unknown as Response;
  try {
    if (!(await tf.setBackend("wasm"))) throw new Error("tfjs's wasm backend did not start");
  } finally {
    platform.fetch = fetchBefore;
  }
  const backend = tf.backend() as BackendWasm;
  const module = backend.wasm as unknown as EmscriptenModule;
  const { instance } = await WebAssembly.instantiate(kernelsWasm, { env: { memory: module.asm.memory } });
  refuseTooMuch(module);
  registerKernels(backend, module, instance.exports as unknown as KernelExports);
  return "tfjs wasm backend (SIMD, one thread per process) with own kernels";
}

/** The backend takes the pointer 0, which says that there is no memory left, for a place to write to. */
function refuseTooMuch(module: EmscriptenModule): void {
  const allocate = module.asm.malloc; // not `_malloc`, which puts this one in its own place when it is first called
  module._malloc = (bytes) => {
    const pointer = allocate(bytes);
    if (pointer === 0 && bytes > 0)
      throw new Error(`out of memory: WebAssembly has no ${bytes} bytes left (4 GiB are the most it can have)`);
    return pointer;
  };
}

/** A growing piece of the shared memory for intermediate results. */
class Scratch {
  #pointer = 0;
  #bytes = 0;
  readonly #module: EmscriptenModule;

  constructor(module: EmscriptenModule) {
    this.#module = module;
  }

  /** Byte offset of at least `floats` floats, 16-byte aligned; the content is arbitrary. */
  ofFloats(floats: number): number {
    const bytes = floats * 4 + 16;
    if (bytes > this.#bytes) {
      if (this.#pointer) this.#module._free(this.#pointer);
      this.#pointer = 0;
      this.#bytes = 0;
      this.#pointer = this.#module._malloc(bytes) >>> 0;
      this.#bytes = bytes;
    }
    return (this.#pointer + 15) & ~15;
  }
}

type Inputs = Record<string, tf.TensorInfo>;

function registerKernels(backend: BackendWasm, module: EmscriptenModule, own: KernelExports): void {
  const scratch = new Scratch(module);
  const at = (tensor: tf.TensorInfo): number => backend.getMemoryOffset(tensor.dataId);
  const output = (shape: number[]): tf.TensorInfo => backend.makeOutput(shape, "float32");
  const register = (
    kernelName: string,
    run: (inputs: Inputs, attributes: Record<string, number>) => tf.TensorInfo | tf.TensorInfo[],
  ): void => {
    if (tf.getKernel(kernelName, "wasm")) tf.unregisterKernel(kernelName, "wasm");
    tf.registerKernel({
      kernelName,
      backendName: "wasm",
      kernelFunc: ({ inputs, attrs }) => run(inputs as unknown as Inputs, attrs as unknown as Record<string, number>),
    });
  };

  register("BatchMatMul", ({ a, b }, { transposeA, transposeB }) => {
    if (a!.dtype !== "float32" || b!.dtype !== "float32") throw new Error(`matMul of ${a!.dtype} and ${b!.dtype}; float32 was expected`);
    const [rowsA, colsA] = a!.shape.slice(-2) as [number, number];
    const [rowsB, colsB] = b!.shape.slice(-2) as [number, number];
    const [m, k] = transposeA ? [colsA, rowsA] : [rowsA, colsA];
    const n = transposeB ? rowsB : colsB;
    const countA = tf.util.sizeFromShape(a!.shape.slice(0, -2));
    const countB = tf.util.sizeFromShape(b!.shape.slice(0, -2));
    const count = Math.max(countA, countB);
    const batch = countA >= countB ? a!.shape.slice(0, -2) : b!.shape.slice(0, -2);
    const out = output([...batch, m, n]);
    own.batchedGemm(
      at(a!), countA === 1 ? 0 : m * k, transposeA ? 1 : 0,
      at(b!), countB === 1 ? 0 : k * n, transposeB ? 1 : 0,
      at(out), count, m, n, k, scratch.ofFloats(own.gemmScratch(n)),
    ); // biome-ignore format: operand by operand
    return out;
  });
  register(`${OWN_KERNEL_PREFIX}AddRmsNorm`, ({ x, y }, { eps }) => {
    const [rows, width] = x!.shape as [number, number];
    const normed = output([rows, width]);
    const inverse = output([rows, 1]);
    own.addRmsNorm(at(x!), at(y!), at(normed), at(inverse), rows, width, eps!);
    return [normed, inverse];
  });
  register(`${OWN_KERNEL_PREFIX}AddRmsNormGrad`, ({ dy, normed, inverse }) => {
    const [rows, width] = dy!.shape as [number, number];
    const dx = output([rows, width]);
    own.addRmsNormGrad(at(dy!), at(normed!), at(inverse!), at(dx), rows, width);
    return dx;
  });
  register(`${OWN_KERNEL_PREFIX}Gate`, ({ x }) => {
    const [rows, width] = x!.shape as [number, number];
    const out = output([rows, width / 2]);
    own.gate(at(x!), at(out), rows, width / 2);
    return out;
  });
  register(`${OWN_KERNEL_PREFIX}GateGrad`, ({ dy, x }) => {
    const [rows, width] = x!.shape as [number, number];
    const dx = output([rows, width]);
    own.gateGrad(at(dy!), at(x!), at(dx), rows, width / 2);
    return dx;
  });
  register(`${OWN_KERNEL_PREFIX}Attend`, ({ qkv, cos, sin }, { batch, positions, heads, headSize }) => {
    const out = output([batch! * positions!, heads! * headSize!]);
    const work = scratch.ofFloats(own.attendScratch(positions!, headSize!));
    own.attend(at(qkv!), at(cos!), at(sin!), at(out), batch!, positions!, heads!, headSize!, work);
    return out;
  });
  register(`${OWN_KERNEL_PREFIX}AttendGrad`, ({ dy, qkv, cos, sin }, { batch, positions, heads, headSize }) => {
    const dqkv = output(qkv!.shape);
    const work = scratch.ofFloats(own.attendScratch(positions!, headSize!));
    own.attendGrad(at(dy!), at(qkv!), at(cos!), at(sin!), at(dqkv), batch!, positions!, heads!, headSize!, work);
    return dqkv;
  });
}
