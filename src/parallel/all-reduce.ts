/** A ring of worker processes on one machine that sum and share arrays. See README.md. */
import { createHash, timingSafeEqual } from "node:crypto";
import { rmSync } from "node:fs";
import { createServer, connect as netConnect, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { messageOf } from "../errors.ts";
import { makeTemporaryFolder } from "../files/temporary-folder.ts";
import { type FrameHeader, type FrameKind, FrameReader, FrameWriter } from "./wire.ts";

/** What a worker needs to know to join. All ranks pass the same but for `rank`. */
export interface RingOptions {
  /** 0..worldSize-1, one process each */
  readonly rank: number;
  readonly worldSize: number;
  /** from `createRingFolder`: where the ranks' sockets are; a fresh one for each ring */
  readonly folder: string;
  /** a secret of this ring; a peer with another one is refused */
  readonly token: string;
  /** longest time without a sign of life from a peer, while joining and in an exchange */
  readonly timeoutMillis: number;
  /** gives up joining: a peer is known never to come */
  readonly signal?: AbortSignal | undefined;
}

/** Why a ring failed. */
export type PeerFailure = "lost" | "timeout" | "left" | "refused" | "protocol";

/** A ring has failed because of one of its ranks. It can do nothing more: close it and join a new one. */
export class PeerError extends Error {
  override readonly name = "PeerError";
  constructor(
    /** rank that was lost, as far as this rank knows */
    readonly peer: number,
    readonly failure: PeerFailure,
    message: string,
  ) {
    super(message);
  }
}

/** Ranks joined in a ring. Every rank makes the same calls in the same order, one at a time. */
export interface Ring {
  readonly rank: number;
  readonly worldSize: number;
  /**
   * Replaces `data` by its sum over all ranks. Bit-identical on every rank and, for a world size and length, the same every time.
   * `data` must not be touched until the promise settles; after an error its content is undefined.
   *
   * @throws PeerError naming the rank that was lost
   */
  allReduceSum(data: Float32Array): Promise<void>;
  /**
   * Every rank's array, by rank; lengths may differ. The own one is `data` itself.
   *
   * @throws PeerError naming the rank that was lost
   */
  allGather(data: Float32Array): Promise<Float32Array[]>;
  /** Leaves the ring; an exchange under way is rejected, here and at the peers. */
  close(): void;
}

/** Floats a frame carries at most: small enough to overlap sending, adding and passing on, and to stay in the cache. */
const SEGMENT = 2 ** 16;
const READ_BUFFER_BYTES = 2 ** 18;
/** Longest path of a Unix socket, less the file's name. */
const MAX_SOCKET_PATH_BYTES = 107;
/** Longest payload of a control frame. */
const MAX_WORDS_BYTES = 4096;
const CONNECT_RETRY_MILLIS = 15;
/** The time to join is counted in so many parts. */
const JOIN_PARTS = 10;
/** How long a failed ring stays open for its last words, and how long a broken connection may still be explained by a peer. */
const LAST_WORDS_MILLIS = 500;
const HEARSAY_MILLIS = 60;

/** A new private folder for the sockets of a ring, short enough for a socket's path. Remove it when the ring is done. */
export function createRingFolder(): string {
  return makeTemporaryFolder("trm-ring-", 60);
}

/**
 * Joins a ring: returns once both neighbours are there.
 *
 * @throws PeerError naming the neighbour that did not come in time or refused the token
 * @throws Error     where the arguments make no ring
 */
export async function joinRing(options: RingOptions): Promise<Ring> {
  const { rank, worldSize, folder } = options;
  if (!Number.isInteger(worldSize) || worldSize < 1 || worldSize > 1024) throw new RangeError(`world size ${worldSize} is not 1..1024`);
  if (!Number.isInteger(rank) || rank < 0 || rank >= worldSize) throw new RangeError(`rank ${rank} is not 0..${worldSize - 1}`);
  if (worldSize === 1) return new RingOfOne();
  const longest = Buffer.byteLength(socketPath(folder, worldSize - 1));
  if (longest > MAX_SOCKET_PATH_BYTES) {
    throw new Error(
      `${folder}: a socket's path may have ${MAX_SOCKET_PATH_BYTES} bytes, this folder makes it ${longest}; use a shorter one`,
    );
  }
  const ring = new SocketRing(options);
  const abandon = (): void => ring.abandon();
  options.signal?.addEventListener("abort", abandon, { once: true });
  try {
    await ring.join();
  } finally {
    options.signal?.removeEventListener("abort", abandon);
  }
  return ring;
}

function socketPath(folder: string, rank: number): string {
  return join(folder, `${rank}.sock`);
}

class RingOfOne implements Ring {
  readonly rank = 0;
  readonly worldSize = 1;
  async allReduceSum(): Promise<void> {}
  async allGather(data: Float32Array): Promise<Float32Array[]> {
    return [data];
  }
  close(): void {}
}

/** One exchange: takes the frames of its step in the one order they can come in. */
interface Exchange {
  readonly step: number;
  /** Where the payload of the expected frame goes. @throws Mismatch where this frame is not the expected one */
  open(header: FrameHeader): Uint8Array;
  complete(header: FrameHeader): void;
  /** all that was expected has come */
  readonly received: boolean;
}

/** Frames of a rank that does something else than this one. */
class Mismatch extends Error {}

/** Frames to the next rank and from the previous one. */
interface Links {
  readonly send: (header: Omit<FrameHeader, "byteLength">, payload?: Uint8Array) => void;
  readonly rank: number;
  readonly worldSize: number;
}

/**
 * Ring all-reduce: piece c starts at rank c, is added to by each rank in turn, and is complete at rank c - 1, from where it goes round again.
 * Every segment is passed on as soon as it is added: no rank waits for a whole piece.
 */
class SumExchange implements Exchange {
  readonly #links: Links;
  readonly #data: Float32Array;
  readonly #scratch: Float32Array;
  /** hops taken by the piece that is expected now: 0..2 * (worldSize - 1) - 1 */
  #hop = 0;
  #at = 0;
  #end = 0;

  constructor(
    readonly step: number,
    links: Links,
    data: Float32Array,
    scratch: Float32Array,
  ) {
    this.#links = links;
    this.#data = data;
    this.#scratch = scratch;
    this.#expectPiece();
    const [begin, end] = this.#piece(links.rank);
    for (let at = begin; at < end; at += SEGMENT) this.#send("sum", links.rank, at, Math.min(end, at + SEGMENT));
  }

  get received(): boolean {
    return this.#hop === 2 * (this.#links.worldSize - 1);
  }

  open(header: FrameHeader): Uint8Array {
    const { length } = this.#data;
    const adding = this.#hop < this.#links.worldSize - 1;
    const floats = Math.min(SEGMENT, this.#end - this.#at);
    expect(header, { kind: adding ? "sum" : "share", part: this.#expectedPart(), offset: this.#at, total: length, byteLength: 4 * floats });
    return adding ? bytesOf(this.#scratch, 0, floats) : bytesOf(this.#data, this.#at, floats);
  }

  complete(header: FrameHeader): void {
    const { worldSize } = this.#links;
    const { offset, part } = header;
    const floats = header.byteLength / 4;
    if (header.kind === "sum") {
      const data = this.#data;
      const scratch = this.#scratch;
      for (let i = 0; i < floats; i++) data[offset + i]! += scratch[i]!;
    }
    // The last rank to take a piece over keeps it; all others pass it on, summed up from the (worldSize - 1)th hop on.
    if (this.#hop < 2 * (worldSize - 1) - 1) this.#send(this.#hop < worldSize - 2 ? "sum" : "share", part, offset, offset + floats);
    this.#at += floats;
    if (this.#at === this.#end) {
      this.#hop++;
      this.#expectPiece();
    }
  }

  /** Moves on to the next piece that has anything in it. */
  #expectPiece(): void {
    for (; !this.received; this.#hop++) {
      [this.#at, this.#end] = this.#piece(this.#expectedPart());
      if (this.#at < this.#end) return;
    }
  }

  #expectedPart(): number {
    const { rank, worldSize } = this.#links;
    return (rank - 1 - this.#hop + 3 * worldSize) % worldSize;
  }

  #piece(part: number): [number, number] {
    const { length } = this.#data;
    const { worldSize } = this.#links;
    return [Math.floor((part * length) / worldSize), Math.floor(((part + 1) * length) / worldSize)];
  }

  #send(kind: FrameKind, part: number, begin: number, end: number): void {
    this.#links.send({ kind, part, step: this.step, offset: begin, total: this.#data.length }, bytesOf(this.#data, begin, end - begin));
  }
}

/** Every rank's array goes round the ring; each rank keeps a copy. */
class GatherExchange implements Exchange {
  readonly #links: Links;
  /** by rank */
  readonly arrays: Float32Array[];
  #hop = 0;
  #at = 0;

  constructor(
    readonly step: number,
    links: Links,
    data: Float32Array,
  ) {
    this.#links = links;
    this.arrays = Array.from({ length: links.worldSize }, () => data);
    let at = 0;
    do {
      this.#send(links.rank, data, at, Math.min(SEGMENT, data.length - at));
      at += SEGMENT;
    } while (at < data.length);
  }

  get received(): boolean {
    return this.#hop === this.#links.worldSize - 1;
  }

  open(header: FrameHeader): Uint8Array {
    const part = this.#expectedPart();
    const total = this.#at === 0 ? header.total : this.arrays[part]!.length;
    const floats = Math.min(SEGMENT, total - this.#at);
    expect(header, { kind: "gather", part, offset: this.#at, total, byteLength: 4 * floats });
    if (this.#at === 0) this.arrays[part] = new Float32Array(total);
    return bytesOf(this.arrays[part]!, this.#at, floats);
  }

  complete(header: FrameHeader): void {
    const { part, offset, total } = header;
    const floats = header.byteLength / 4;
    if (this.#hop < this.#links.worldSize - 2) this.#send(part, this.arrays[part]!, offset, floats);
    this.#at += floats;
    if (this.#at === total) {
      this.#hop++;
      this.#at = 0;
    }
  }

  #expectedPart(): number {
    const { rank, worldSize } = this.#links;
    return (rank - 1 - this.#hop + 2 * worldSize) % worldSize;
  }

  #send(part: number, array: Float32Array, offset: number, floats: number): void {
    this.#links.send({ kind: "gather", part, step: this.step, offset, total: array.length }, bytesOf(array, offset, floats));
  }
}

function expect(header: FrameHeader, wanted: Omit<FrameHeader, "step">): void {
  const keys = ["kind", "total", "part", "offset", "byteLength"] as const;
  for (const key of keys) {
    if (header[key] !== wanted[key])
      throw new Mismatch(`sent ${key} ${header[key]} where ${wanted[key]} was expected (exchange ${header.step})`);
  }
}

function bytesOf(data: Float32Array, offset: number, floats: number): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset + 4 * offset, 4 * floats);
}

interface Waiting {
  readonly exchange: Exchange;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
  /** when something last came in or began, in `performance.now()` */
  progressAt: number;
  probedAt: number | undefined;
  flushing: boolean;
}

class SocketRing implements Ring {
  readonly rank: number;
  readonly worldSize: number;
  readonly #options: RingOptions;
  readonly #previous: number;
  readonly #next: number;
  readonly #scratch = new Float32Array(SEGMENT);
  /** payloads of control frames, from either side */
  readonly #wordsOfPrevious = Buffer.alloc(MAX_WORDS_BYTES);
  readonly #wordsOfNext = Buffer.alloc(MAX_WORDS_BYTES);
  /** the previous rank's frames come in here; we connected to it */
  #fromPrevious: Socket | undefined;
  #previousReader: FrameReader | undefined;
  #previousWriter: FrameWriter | undefined;
  /** the next rank connected to us; our frames go out here */
  #toNext: Socket | undefined;
  #nextWriter: FrameWriter | undefined;
  #step = 0;
  #waiting: Waiting | undefined;
  #timer: NodeJS.Timeout | undefined;
  #failure: PeerError | undefined;
  /** a neighbour has left in good order: there will be no further exchange */
  #departed: { readonly error: PeerError; readonly step: number } | undefined;
  #closed = false;
  /** called while joining: a neighbour is there, or the ring has failed */
  #joined: (() => void) | undefined;
  #welcomed = false;

  constructor(options: RingOptions) {
    this.#options = options;
    this.rank = options.rank;
    this.worldSize = options.worldSize;
    this.#previous = (options.rank - 1 + options.worldSize) % options.worldSize;
    this.#next = (options.rank + 1) % options.worldSize;
  }

  async allReduceSum(data: Float32Array): Promise<void> {
    await this.#exchange((step, links) => new SumExchange(step, links, data, this.#scratch));
  }

  async allGather(data: Float32Array): Promise<Float32Array[]> {
    return (await this.#exchange((step, links) => new GatherExchange(step, links, data))).arrays;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#previousReader?.divert();
    this.#waiting?.reject(new Error("the ring was closed during an exchange"));
    this.#waiting = undefined;
    if (!this.#failure) this.#lastWords({ kind: "goodbye" });
  }

  /** Gives up joining, and lets the neighbours know. */
  abandon(): void {
    this.#fail(this.rank, "left", "(this one) was told to join no longer");
  }

  // ---- joining

  async join(): Promise<void> {
    const { folder, timeoutMillis } = this.#options;
    const path = socketPath(folder, this.rank);
    rmSync(path, { force: true });
    const server = createServer((socket) => this.#accept(socket));
    await listen(server, path);
    try {
      await new Promise<void>((resolve, reject) => {
        // However long this process is busy or stopped itself, it costs one part of the time: nobody else is blamed for it.
        let left = JOIN_PARTS;
        const timer = setInterval(() => {
          if (--left === 0) this.#joinTimedOut();
        }, timeoutMillis / JOIN_PARTS);
        this.#joined = () => {
          if (!this.#failure && !(this.#welcomed && this.#toNext)) return;
          clearInterval(timer);
          this.#joined = undefined;
          if (this.#failure) reject(this.#failure);
          else resolve();
        };
        this.#connect();
      });
    } finally {
      server.close();
      rmSync(path, { force: true });
    }
  }

  #joinTimedOut(): void {
    const seconds = this.#options.timeoutMillis / 1000;
    if (!this.#welcomed) this.#fail(this.#previous, "timeout", `could not be reached within ${seconds} s`);
    else this.#fail(this.#next, "timeout", `did not join within ${seconds} s`);
  }

  /** Connects to the previous rank, again and again until its socket is there or the time to join is over. */
  #connect(): void {
    if (this.#failure || this.#closed) return;
    const reader = new FrameReader({
      open: (header) => this.#openFromPrevious(header),
      complete: (header) => this.#completeFromPrevious(header),
    });
    const socket = netConnect({
      path: socketPath(this.#options.folder, this.#previous),
      onread: {
        buffer: Buffer.allocUnsafeSlow(READ_BUFFER_BYTES),
        callback: (bytes, buffer) => this.#guard(this.#previous, () => reader.push((buffer as Buffer).subarray(0, bytes))) ?? true,
      },
    });
    const retry = (error: NodeJS.ErrnoException): void => {
      socket.destroy();
      if (error.code === "ENOENT" || error.code === "ECONNREFUSED" || error.code === "EAGAIN") {
        setTimeout(() => this.#connect(), CONNECT_RETRY_MILLIS);
      } else if (!this.#failure) this.#fail(this.#previous, "lost", `cannot be reached (${messageOf(error)})`);
    };
    socket.once("error", retry);
    socket.once("connect", () => {
      socket.off("error", retry);
      this.#fromPrevious = socket;
      this.#previousReader = reader;
      this.#previousWriter = new FrameWriter(socket);
      this.#watch(socket, this.#previous);
      this.#previousWriter.send(
        { kind: "hello", part: this.rank, step: 0, offset: 0, total: this.worldSize },
        proofOf(this.#options.token, "hello", this.rank),
      );
    });
  }

  /** A process connects: the next rank, if it knows the token. */
  #accept(socket: Socket): void {
    let writer: FrameWriter | undefined = new FrameWriter(socket);
    let greeted = false;
    const hello = Buffer.alloc(64);
    const refuse = (reason: string): void => {
      writer?.send({ kind: "refused", part: this.rank, step: 0, offset: 0, total: 0 }, Buffer.from(reason));
      writer = undefined;
      socket.end();
    };
    const greet = (header: FrameHeader): void => {
      const proof = proofOf(this.#options.token, "hello", header.part);
      if (header.byteLength !== proof.byteLength || !timingSafeEqual(hello.subarray(0, proof.byteLength), proof)) {
        refuse("the token is wrong");
      } else if (header.part !== this.#next || header.total !== this.worldSize) {
        refuse(`it expects worker ${this.#next} of ${this.worldSize}, not worker ${header.part} of ${header.total}`);
      } else if (this.#toNext) {
        refuse(`worker ${header.part} has joined already`);
      } else {
        greeted = true;
        socket.off("error", ignore);
        this.#toNext = socket;
        this.#nextWriter = writer;
        this.#watch(socket, this.#next);
        this.#nextWriter?.send(
          { kind: "welcome", part: this.rank, step: 0, offset: 0, total: this.worldSize },
          proofOf(this.#options.token, "welcome", this.rank),
        );
        this.#joined?.();
      }
    };
    const reader = new FrameReader({
      open: (header) => {
        if (greeted) return openWords(header, this.#wordsOfNext);
        if (header.kind !== "hello" || header.byteLength > hello.byteLength) throw new Mismatch("does not say hello");
        return hello;
      },
      complete: (header) => (greeted ? this.#completeFromNext(header) : greet(header)),
    });
    const ignore = (): void => {}; // a stranger that breaks off is no one's loss
    socket.on("error", ignore);
    const firstWord = setTimeout(() => {
      if (!greeted) socket.destroy();
    }, this.#options.timeoutMillis).unref();
    socket.once("close", () => clearTimeout(firstWord));
    socket.on("data", (bytes) => {
      if (greeted) this.#guard(this.#next, () => reader.push(bytes));
      else if (writer) {
        try {
          reader.push(bytes);
        } catch {
          socket.destroy();
        }
      }
      if (greeted) clearTimeout(firstWord);
    });
  }

  // ---- frames from the neighbours

  #openFromPrevious(header: FrameHeader): Uint8Array | undefined {
    if (header.kind === "sum" || header.kind === "share" || header.kind === "gather") {
      const waiting = this.#waiting;
      if (this.#failure || this.#closed) return Buffer.allocUnsafe(header.byteLength); // read on, to hear a peer's last words
      if (!waiting || waiting.exchange.received) {
        if (header.step > this.#step - (waiting ? 0 : 1)) return undefined; // it is ahead of us: its frames wait in its socket
        throw new Mismatch(`is at exchange ${header.step}, this worker at ${this.#step}`);
      }
      if (header.step !== waiting.exchange.step) throw new Mismatch(`is at exchange ${header.step}, this worker at ${this.#step}`);
      waiting.progressAt = performance.now();
      waiting.probedAt = undefined;
      return waiting.exchange.open(header);
    }
    return openWords(header, this.#wordsOfPrevious);
  }

  #completeFromPrevious(header: FrameHeader): void {
    const words = this.#wordsOfPrevious.subarray(0, header.byteLength); // of no meaning for arrays
    switch (header.kind) {
      case "sum":
      case "share":
      case "gather": {
        const waiting = this.#waiting;
        if (!waiting) return;
        waiting.exchange.complete(header);
        this.#finishIfDone(waiting);
        return;
      }
      case "welcome": {
        const proof = proofOf(this.#options.token, "welcome", this.#previous);
        if (header.part !== this.#previous || header.byteLength !== proof.byteLength || !timingSafeEqual(words, proof)) {
          this.#fail(this.#previous, "refused", "does not know the token");
          return;
        }
        this.#welcomed = true;
        this.#joined?.();
        return;
      }
      case "refused":
        this.#fail(this.#previous, "refused", `refused this worker: ${words.toString("utf8")}`);
        return;
      case "here":
        this.#heardFromPrevious(header);
        return;
      default:
        this.#completeFromEither(header, this.#previous, words);
    }
  }

  #completeFromNext(header: FrameHeader): void {
    if (header.kind === "probe") {
      const inExchange = this.#waiting !== undefined || this.#step > header.step;
      this.#nextWriter?.send({ kind: "here", part: inExchange ? 1 : 0, step: header.step, offset: 0, total: 0 });
    } else this.#completeFromEither(header, this.#next, this.#wordsOfNext.subarray(0, header.byteLength));
  }

  #completeFromEither(header: FrameHeader, from: number, words: Buffer): void {
    if (header.kind === "goodbye") {
      // It has finished the exchanges before `header.step`: if ours is one of them, it goes on without it.
      this.#departed = { error: new PeerError(from, "left", this.#sentence(from, "left the ring")), step: header.step };
      if (this.#waiting && header.step <= this.#waiting.exchange.step) this.#fail(from, "left", "left the ring");
    } else if (header.kind === "abort") {
      const { peer, failure, what } = JSON.parse(words.toString("utf8")) as { peer: number; failure: PeerFailure; what: string };
      this.#fail(peer, failure, peer === this.rank ? `(this one) is given up by worker ${from}: ${what}` : what);
    } else unexpected(header);
  }

  // ---- exchanges

  #exchange<E extends Exchange>(begin: (step: number, links: Links) => E): Promise<E> {
    if (this.#waiting) return Promise.reject(new Error("one exchange at a time: await the one before"));
    if (this.#closed) return Promise.reject(new Error("the ring is closed"));
    if (this.#failure) return Promise.reject(this.#failure);
    if (this.#departed && this.#departed.step <= this.#step) return Promise.reject(this.#departed.error);
    const writer = this.#nextWriter!;
    return new Promise<E>((resolve, reject) => {
      const links: Links = { rank: this.rank, worldSize: this.worldSize, send: (header, payload) => writer.send(header, payload) };
      const exchange = begin(this.#step, links);
      const waiting: Waiting = {
        exchange,
        resolve: () => resolve(exchange),
        reject,
        progressAt: performance.now(),
        probedAt: undefined,
        flushing: false,
      };
      this.#waiting = waiting;
      this.#watchProgress();
      // Frames that came before we were ready.
      if (this.#guard(this.#previous, () => this.#previousReader!.resume())) this.#fromPrevious!.resume();
      this.#finishIfDone(waiting);
    });
  }

  /** Done once all has come in and all of ours is with the kernel: then the caller may change its array again. */
  #finishIfDone(waiting: Waiting): void {
    if (!waiting.exchange.received || waiting.flushing || this.#waiting !== waiting) return;
    waiting.flushing = true;
    this.#nextWriter!.whenFlushed(() => {
      if (this.#waiting !== waiting) return;
      this.#waiting = undefined;
      this.#step++;
      clearTimeout(this.#timer);
      waiting.resolve();
    });
  }

  // ---- what can go wrong

  /** Runs `use`; what it throws is the fault of `peer`. */
  #guard<T>(peer: number, use: () => T): T | undefined {
    try {
      return use();
    } catch (error) {
      this.#fail(peer, "protocol", messageOf(error));
      return undefined;
    }
  }

  #watch(socket: Socket, peer: number): void {
    // A broken connection means that its process has ended, or that it gave up for another rank's sake: then a word of that may still be
    // on the way, on this connection or the other.
    const broken = (why: string): void => {
      setTimeout(() => {
        if (this.#departed?.error.peer !== peer) this.#fail(peer, "lost", `has ended${why}`);
      }, HEARSAY_MILLIS);
    };
    socket.on("end", () => broken(""));
    socket.on("close", () => broken(""));
    socket.on("error", (error) => broken(` (${messageOf(error)})`));
  }

  #watchProgress(): void {
    clearTimeout(this.#timer);
    const waiting = this.#waiting;
    if (!waiting) return;
    const { timeoutMillis } = this.#options;
    const patience = waiting.probedAt === undefined ? timeoutMillis : Math.min(timeoutMillis, 5000);
    const since = waiting.probedAt ?? waiting.progressAt;
    const left = since + patience - performance.now();
    if (left > 0) {
      this.#timer = setTimeout(() => {
        // This process may have been busy or stopped itself: what lies in the sockets is read before anyone is blamed.
        setImmediate(() => setImmediate(() => this.#watchProgress()));
      }, left);
      return;
    }
    const seconds = timeoutMillis / 1000;
    const { step, received } = waiting.exchange;
    if (received) this.#fail(this.#next, "timeout", `took nothing for ${seconds} s in exchange ${step}`);
    else if (waiting.probedAt !== undefined) this.#fail(this.#previous, "timeout", `sent nothing for ${seconds} s in exchange ${step}`);
    else {
      waiting.probedAt = performance.now();
      this.#previousWriter?.send({ kind: "probe", part: this.rank, step, offset: 0, total: 0 });
      this.#watchProgress();
    }
  }

  /** The previous rank answers a probe: it is alive. Either it has not come to this exchange, or it waits for its own previous rank. */
  #heardFromPrevious(header: FrameHeader): void {
    const waiting = this.#waiting;
    if (!waiting || waiting.exchange.step !== header.step || waiting.exchange.received) return;
    if (header.part === 0) {
      const seconds = this.#options.timeoutMillis / 1000;
      this.#fail(this.#previous, "timeout", `is alive but has not begun exchange ${header.step} for ${seconds} s`);
    } else {
      waiting.progressAt = performance.now(); // whoever holds the ring up is found by the rank after it
      waiting.probedAt = undefined;
      this.#watchProgress();
    }
  }

  #fail(peer: number, failure: PeerFailure, what: string): void {
    if (this.#failure || this.#closed) return;
    const error = new PeerError(peer, failure, this.#sentence(peer, what));
    this.#failure = error;
    this.#previousReader?.divert(); // the caller gets its array back
    clearTimeout(this.#timer);
    this.#lastWords({ kind: "abort", peer, failure, what });
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.reject(error);
    this.#joined?.();
  }

  #sentence(peer: number, what: string): string {
    return `worker ${peer} of ${this.worldSize} ${what}`;
  }

  /** Tells both neighbours and closes: gently, so that the words arrive, but not for long. */
  #lastWords(words: { kind: "goodbye" } | { kind: "abort"; peer: number; failure: PeerFailure; what: string }): void {
    const payload = words.kind === "abort" ? Buffer.from(JSON.stringify(words)) : undefined;
    const header = { kind: words.kind, part: this.rank, step: this.#step, offset: 0, total: 0 };
    for (const [socket, writer] of [
      [this.#toNext, this.#nextWriter],
      [this.#fromPrevious, this.#previousWriter],
    ] as const) {
      if (!socket || !writer) continue;
      writer.send(header, payload);
      socket.end();
      socket.resume();
      setTimeout(() => socket.destroy(), LAST_WORDS_MILLIS).unref();
      socket.unref();
    }
  }
}

function openWords(header: FrameHeader, target: Buffer): Buffer {
  if (header.byteLength > target.byteLength) throw new Mismatch(`sent a ${header.kind} of ${header.byteLength} bytes`);
  return target;
}

function unexpected(header: FrameHeader): never {
  throw new Mismatch(`sent a ${header.kind} frame that was not expected (exchange ${header.step})`);
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, () => {
      server.off("error", reject);
      resolve();
    });
  });
}

/** Shows that one knows the token, without saying it. */
function proofOf(token: string, word: "hello" | "welcome", rank: number): Buffer {
  return createHash("sha256").update(`trm ring ${word} ${rank}\n${token}`).digest();
}
