/** The pickle of an ordered dictionary of tensors, as `torch.save(model.state_dict(), path)` has it: protocol 2. */

/** A tensor that fills the storage of its own number. */
export interface PickledTensor {
  readonly key: string;
  readonly storage: "FloatStorage" | "BFloat16Storage";
  /** row-major */
  readonly shape: readonly number[];
}

/** The pickle; tensor `i` lies in storage `i`. */
export function pickleStateDict(tensors: readonly PickledTensor[]): Buffer {
  const parts = ["\x80\x02", global("collections", "OrderedDict"), ")R", "("].map(latin1);
  tensors.forEach(({ key, storage, shape }, i) => {
    const elements = shape.reduce((product, size) => product * size, 1);
    const strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((product, size) => product * size, 1));
    parts.push(text(key), latin1(global("torch._utils", "_rebuild_tensor_v2")), latin1("("));
    parts.push(latin1("("), text("storage"), latin1(global("torch", storage)), text(String(i)), text("cpu"), whole(elements), latin1("tQ"));
    parts.push(whole(0), tuple(shape), tuple(strides), latin1("\x89"), latin1(`${global("collections", "OrderedDict")})RtR`));
  });
  parts.push(latin1("u."));
  return Buffer.concat(parts);
}

function latin1(opcodes: string): Buffer {
  return Buffer.from(opcodes, "latin1");
}

function global(module: string, name: string): string {
  return `c${module}\n${name}\n`;
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value, "utf8");
  const length = Buffer.alloc(4);
  length.writeUInt32LE(bytes.byteLength);
  return Buffer.concat([latin1("X"), length, bytes]);
}

function tuple(values: readonly number[]): Buffer {
  return Buffer.concat([latin1("("), ...values.map(whole), latin1("t")]);
}

/** A whole number from 0: BININT where it fits 31 bits, else LONG1. */
function whole(value: number): Buffer {
  if (value < 2 ** 31) {
    const out = Buffer.alloc(5);
    out.write("J", "latin1");
    out.writeInt32LE(value, 1);
    return out;
  }
  const out = Buffer.alloc(10);
  out.write("\x8a\x08", "latin1");
  out.writeBigInt64LE(BigInt(value), 2);
  return out;
}
