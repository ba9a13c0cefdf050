/** The part of Python's pickle format that a dictionary of tensors needs. Nothing is executed; anything else is refused by name. */
import { InputError } from "../../errors.ts";

/** The place of a tensor's numbers: a raw file of the archive. */
export interface StorageReference {
  readonly kind: "storage";
  /** `FloatStorage`, `BFloat16Storage`, … */
  readonly type: string;
  /** number of the file, digits only */
  readonly key: string;
  /** elements in the file */
  readonly elements: number;
}

/** A tensor as a view of a storage; all counts in elements. */
export interface TensorReference {
  readonly kind: "tensor";
  readonly storage: StorageReference;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly stride: readonly number[];
}

/** What a pickle can hold here; tuples and lists are both arrays. */
export type PickleValue =
  | null
  | boolean
  | number
  | string
  | readonly PickleValue[]
  | Map<PickleValue, PickleValue>
  | StorageReference
  | TensorReference
  | GlobalReference;

interface GlobalReference {
  readonly kind: "global";
  readonly name: string;
}

/** Names that may occur; storages besides. */
const GLOBALS = ["collections.OrderedDict", "torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_parameter"];
const STORAGE = /^torch\.([A-Za-z0-9]+Storage)$/;

/** Opcodes that are known but not needed, for messages. */
const REFUSED: Record<number, string> = {
  48: "POP",
  49: "POP_MARK",
  50: "DUP",
  70: "FLOAT",
  73: "INT",
  76: "LONG",
  80: "PERSID",
  83: "STRING",
  84: "BINSTRING",
  85: "SHORT_BINSTRING",
  86: "UNICODE",
  66: "BINBYTES",
  67: "SHORT_BINBYTES",
  100: "DICT",
  103: "GET",
  105: "INST",
  108: "LIST",
  111: "OBJ",
  112: "PUT",
  129: "NEWOBJ",
  130: "EXT1",
  131: "EXT2",
  132: "EXT4",
  139: "LONG4",
  141: "BINUNICODE8",
  142: "BINBYTES8",
  143: "EMPTY_SET",
  144: "ADDITEMS",
  145: "FROZENSET",
  146: "NEWOBJ_EX",
  150: "BYTEARRAY8",
  151: "NEXT_BUFFER",
  152: "READONLY_BUFFER",
};

/** Opcodes run at most: a value takes some, and memory with it. A tensor takes about 35. */
const MAX_OPCODES = 2 ** 21;

/** Axes of a tensor at most, as in PyTorch. */
const MAX_AXES = 64;

const MARK = Symbol("mark");
type StackItem = PickleValue | typeof MARK;

/**
 * The value of a pickle (protocol 2 to 5).
 *
 * @param where name of the pickle, for messages
 * @throws InputError at the first byte that is not part of a dictionary of tensors, by the name of the opcode or global
 */
export function readPickle(bytes: Uint8Array, where: string): PickleValue {
  return new PickleReader(bytes, where).read();
}

class PickleReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #where: string;
  readonly #stack: StackItem[] = [];
  readonly #memo = new Map<number, PickleValue>();
  #at = 0;
  #opcodeAt = 0;

  constructor(bytes: Uint8Array, where: string) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#where = where;
  }

  read(): PickleValue {
    for (let run = 0; ; run++) {
      this.#opcodeAt = this.#at;
      if (run === MAX_OPCODES) this.#refuse(`has more than ${MAX_OPCODES} opcodes; a model's dictionary of tensors has some thousands`);
      const opcode = this.#uint(1);
      if (opcode === 0x2e) return this.#stop();
      this.#run(opcode);
    }
  }

  #run(opcode: number): void {
    const stack = this.#stack;
    switch (opcode) {
      case 0x80: {
        const protocol = this.#uint(1);
        if (protocol < 2 || protocol > 5) this.#refuse(`pickle protocol ${protocol} is not 2 to 5`);
        return;
      }
      case 0x95: // FRAME: a hint for buffering
        this.#take(8);
        return;
      case 0x63: // GLOBAL
        this.#pushGlobal(this.#line(), this.#line());
        return;
      case 0x93: {
        // STACK_GLOBAL
        const name = this.#pop();
        this.#pushGlobal(this.#pop(), name);
        return;
      }
      case 0x71: // BINPUT
        this.#remember(this.#uint(1));
        return;
      case 0x72: // LONG_BINPUT
        this.#remember(this.#uint(4));
        return;
      case 0x94: // MEMOIZE
        this.#remember(this.#memo.size);
        return;
      case 0x68: // BINGET
        this.#recall(this.#uint(1));
        return;
      case 0x6a: // LONG_BINGET
        this.#recall(this.#uint(4));
        return;
      case 0x28: // MARK
        stack.push(MARK);
        return;
      case 0x58: // BINUNICODE
        stack.push(this.#text(this.#uint(4)));
        return;
      case 0x8c: // SHORT_BINUNICODE
        stack.push(this.#text(this.#uint(1)));
        return;
      case 0x4a: // BININT
        stack.push(this.#view.getInt32(this.#take(4), true));
        return;
      case 0x4b: // BININT1
        stack.push(this.#uint(1));
        return;
      case 0x4d: // BININT2
        stack.push(this.#uint(2));
        return;
      case 0x8a: // LONG1
        stack.push(this.#long(this.#uint(1)));
        return;
      case 0x47: // BINFLOAT
        stack.push(this.#view.getFloat64(this.#take(8), false));
        return;
      case 0x88: // NEWTRUE
        stack.push(true);
        return;
      case 0x89: // NEWFALSE
        stack.push(false);
        return;
      case 0x4e: // NONE
        stack.push(null);
        return;
      case 0x29: // EMPTY_TUPLE
      case 0x5d: // EMPTY_LIST
        stack.push([]);
        return;
      case 0x85: // TUPLE1
      case 0x86: // TUPLE2
      case 0x87: {
        // TUPLE3
        const items = Array.from({ length: opcode - 0x84 }, () => this.#pop());
        stack.push(items.reverse());
        return;
      }
      case 0x74: // TUPLE
        stack.push(this.#popToMark());
        return;
      case 0x7d: // EMPTY_DICT
        stack.push(new Map());
        return;
      case 0x61: // APPEND
        this.#append([this.#pop()]);
        return;
      case 0x65: // APPENDS
        this.#append(this.#popToMark());
        return;
      case 0x73: {
        // SETITEM
        const value = this.#pop();
        this.#setItems([this.#pop(), value]);
        return;
      }
      case 0x75: // SETITEMS
        this.#setItems(this.#popToMark());
        return;
      case 0x51: // BINPERSID
        stack.push(this.#storage(this.#pop()));
        return;
      case 0x52: {
        // REDUCE
        const args = this.#pop();
        stack.push(this.#reduce(this.#pop(), args));
        return;
      }
      case 0x62: // BUILD: attributes of a dictionary (`_metadata`), of no use here
        this.#pop();
        if (!(stack.at(-1) instanceof Map)) this.#refuse("opcode BUILD on something other than a dictionary");
        return;
      default: {
        const name = REFUSED[opcode] ?? "unknown";
        this.#refuse(`opcode ${name} (0x${opcode.toString(16).padStart(2, "0")}) has no place in a dictionary of tensors`);
      }
    }
  }

  #stop(): PickleValue {
    const value = this.#pop();
    if (this.#stack.length > 0) this.#refuse("more than one value is left at the end");
    if (this.#at !== this.#bytes.byteLength) this.#refuse(`${this.#bytes.byteLength - this.#at} bytes follow the end`);
    return value;
  }

  #pushGlobal(module: PickleValue, name: PickleValue): void {
    if (typeof module !== "string" || typeof name !== "string") this.#refuse("a name must be a text");
    const full = `${module}.${name}`;
    if (!GLOBALS.includes(full) && !STORAGE.test(full)) {
      this.#refuse(
        `the name ${printable(full)} is not allowed; only ${GLOBALS.join(", ")} and torch.*Storage are. If you trust the file, save its tensors alone: torch.save(model.state_dict(), path)`,
      );
    }
    this.#stack.push({ kind: "global", name: full });
  }

  #reduce(callee: PickleValue, args: PickleValue): PickleValue {
    if (!isKind(callee, "global") || !Array.isArray(args)) return this.#refuse("opcode REDUCE on something other than a name and a tuple");
    switch (callee.name) {
      case "collections.OrderedDict": {
        if (args.length > 0) this.#refuse("OrderedDict is called with arguments; it must begin empty");
        return new Map();
      }
      case "torch._utils._rebuild_tensor_v2":
        return this.#tensor(args);
      case "torch._utils._rebuild_parameter": {
        const [tensor] = args as PickleValue[];
        return isKind(tensor, "tensor") ? tensor : this.#refuse("_rebuild_parameter of something other than a tensor");
      }
      default:
        return this.#refuse(`${callee.name} is not called in a dictionary of tensors`);
    }
  }

  #tensor([storage, offset, shape, stride]: readonly PickleValue[]): TensorReference {
    if (!isKind(storage, "storage") || !isCount(offset) || !isCounts(shape) || !isCounts(stride) || shape.length !== stride.length) {
      return this.#refuse(`_rebuild_tensor_v2 takes a storage, an offset, a shape and strides of at most ${MAX_AXES} axes`);
    }
    const last = shape.reduce((sum, size, i) => sum + Math.max(0, size - 1) * stride[i]!, offset);
    const empty = shape.includes(0);
    const count = shape.reduce((product, size) => product * size, 1);
    if (!Number.isSafeInteger(count) || !Number.isSafeInteger(last))
      return this.#refuse(`a tensor of shape [${shape.join(", ")}] is too large`);
    // A stride of 0 would let a small file claim any amount of memory: no tensor may have more elements than its storage.
    if (!empty && (last >= storage.elements || count > storage.elements)) {
      return this.#refuse(
        `a tensor of shape [${shape.join(", ")}] at ${offset} does not fit storage ${storage.key} of ${storage.elements}`,
      );
    }
    return { kind: "tensor", storage, offset, shape, stride };
  }

  #storage(id: PickleValue): StorageReference {
    if (Array.isArray(id) && id.length === 5 && id[0] === "storage") {
      const [, type, key, , elements] = id as PickleValue[];
      const name = isKind(type, "global") ? STORAGE.exec(type.name)?.[1] : undefined;
      if (name && typeof key === "string" && /^\d{1,9}$/.test(key) && isCount(elements)) {
        return { kind: "storage", type: name, key, elements };
      }
    }
    return this.#refuse("a persistent id must be ('storage', type, number, location, elements)");
  }

  #append(items: PickleValue[]): void {
    const list = this.#stack.at(-1);
    if (!Array.isArray(list)) this.#refuse("opcode APPEND on something other than a list");
    for (const item of items) list.push(item);
  }

  #setItems(items: readonly PickleValue[]): void {
    const map = this.#stack.at(-1);
    if (!(map instanceof Map) || items.length % 2 !== 0) this.#refuse("opcode SETITEM on something other than a dictionary");
    for (let i = 0; i < items.length; i += 2) {
      const key = items[i]!;
      if (map.has(key)) this.#refuse(typeof key === "string" ? `the key ${JSON.stringify(key)} occurs twice` : "a key occurs twice");
      map.set(key, items[i + 1]!);
    }
  }

  #remember(key: number): void {
    const top = this.#stack.at(-1);
    if (top === undefined || top === MARK) this.#refuse("nothing to remember");
    this.#memo.set(key, top);
  }

  #recall(key: number): void {
    const value = this.#memo.get(key);
    if (value === undefined) this.#refuse(`nothing was remembered as ${key}`);
    this.#stack.push(value);
  }

  #pop(): PickleValue {
    const item = this.#stack.pop();
    if (item === undefined || item === MARK) return this.#refuse("the stack is empty");
    return item;
  }

  #popToMark(): PickleValue[] {
    const mark = this.#stack.lastIndexOf(MARK);
    if (mark < 0) this.#refuse("there is no mark");
    const items = this.#stack.splice(mark + 1) as PickleValue[];
    this.#stack.pop();
    return items;
  }

  /** Little-endian, unsigned. */
  #uint(bytes: 1 | 2 | 4): number {
    const at = this.#take(bytes);
    return bytes === 1 ? this.#bytes[at]! : bytes === 2 ? this.#view.getUint16(at, true) : this.#view.getUint32(at, true);
  }

  #long(bytes: number): number {
    if (bytes > 8) this.#refuse(`a whole number of ${bytes} bytes is too large`);
    const at = this.#take(bytes);
    let value = 0n;
    for (let i = 0; i < bytes; i++) value |= BigInt(this.#bytes[at + i]!) << BigInt(8 * i);
    const signed = Number(BigInt.asIntN(8 * bytes, value));
    return Number.isSafeInteger(signed) ? signed : this.#refuse(`the whole number ${value} is too large`);
  }

  #text(bytes: number): string {
    const at = this.#take(bytes);
    return Buffer.from(this.#bytes.subarray(at, at + bytes)).toString("utf8");
  }

  #line(): string {
    const end = this.#bytes.indexOf(0x0a, this.#at);
    if (end < 0) this.#refuse("is cut short");
    const text = this.#text(end - this.#at);
    this.#at++;
    return text;
  }

  /** Moves on by `bytes` and returns where they begin. */
  #take(bytes: number): number {
    const at = this.#at;
    if (at + bytes > this.#bytes.byteLength) this.#refuse("is cut short");
    this.#at += bytes;
    return at;
  }

  #refuse(problem: string): never {
    throw new InputError(this.#where, [`byte ${this.#opcodeAt}: ${problem}`]);
  }
}

function isKind<K extends "global" | "storage" | "tensor">(
  value: PickleValue | undefined,
  kind: K,
): value is Extract<PickleValue, { readonly kind: K }> {
  return typeof value === "object" && value !== null && "kind" in value && value.kind === kind;
}

/** A text of a file as a message may have it. */
export function printable(text: string): string {
  return text.slice(0, 200).replace(/[^\x20-\x7e]/g, "?");
}

/** Whether a value is a tensor. */
export function isTensorReference(value: PickleValue): value is TensorReference {
  return isKind(value, "tensor");
}

function isCount(value: PickleValue | undefined): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isCounts(value: PickleValue | undefined): value is readonly number[] {
  return Array.isArray(value) && value.length <= MAX_AXES && value.every(isCount);
}
