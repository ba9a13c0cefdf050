/** The page of a run while it goes: served on this machine alone, by a process of its own that reads the run's folder, so that the run is not held up. */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { constants, setPriority } from "node:os";
import { gzipSync } from "node:zlib";
import { messageOf } from "../errors.ts";
import { reportHtml } from "../report/html.ts";
import type { DocumentData, ReportData } from "../report/report-data.ts";

/** The folder is read anew at most this often, and no more than this share of a processor's time goes into it. */
const LEAST_SECONDS = 2;
const READING_SHARE = 0.01;
/** Answers a second at most, whoever asks; others wait their turn, and those that would wait longer than this are sent away. */
const MOST_ANSWERS = 20;
const LONGEST_WAIT_SECONDS = 30;

/** A served report. */
export interface Followed {
  /** with the token that is asked for */
  readonly url: string;
  close(): void;
}

/**
 * Serves a run's page on the loopback interface, at a port that the system picks.
 *
 * Whoever asks must know the token, and must have called this machine by one of its own names: a page from elsewhere, whose name somebody lets
 * point here, gets nothing.
 *
 * @param gather what the run is like now; may throw, then the last that was gathered stands
 */
export async function follow(gather: () => ReportData | DocumentData): Promise<Followed> {
  setPriority(constants.priority.PRIORITY_LOW); // the run comes first
  const token = randomBytes(24).toString("base64url");
  const latest = latestOf(gather);
  const pace = new Pace(MOST_ANSWERS);
  const server = createServer((request, response) =>
    answer(request, response, { token, port: (server.address() as AddressInfo).port, latest, pace }),
  );
  server.keepAliveTimeout = 2000 * LONGEST_WAIT_SECONDS; // no connection is closed on one that is about to ask again
  server.headersTimeout = 10_000;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/?token=${token}`,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

/** What is served, compressed once for all who ask. */
interface Snapshot {
  readonly page: Buffer;
  readonly data: Buffer;
  /** tells one state of the data from another */
  readonly tag: string;
}

/** The newest state, gathered when somebody asks for it and the last is old. */
function latestOf(gather: () => ReportData | DocumentData): () => Snapshot {
  let snapshot: Snapshot | undefined;
  let freshUntil = Number.NEGATIVE_INFINITY;
  return () => {
    if (snapshot && performance.now() < freshUntil) return snapshot;
    const began = process.cpuUsage();
    try {
      const data = gather();
      const json = JSON.stringify(data);
      const tag = `"${createHash("sha256")
        .update(JSON.stringify({ ...data, gatheredAt: 0 }))
        .digest("base64url")}"`;
      if (tag !== snapshot?.tag)
        snapshot = { page: gzipSync(reportHtml(data, { follow: true }), { level: 1 }), data: gzipSync(json, { level: 1 }), tag };
    } catch (error) {
      if (!snapshot) throw error;
    }
    const { user, system } = process.cpuUsage(began);
    freshUntil = performance.now() + Math.max(1000 * LEAST_SECONDS, (user + system) / 1000 / READING_SHARE);
    return snapshot!;
  };
}

/** Turns, evenly spaced: as many a second as may be answered. */
class Pace {
  readonly #apartMillis: number;
  #next = 0;

  constructor(perSecond: number) {
    this.#apartMillis = 1000 / perSecond;
  }

  /** Milliseconds until the next turn, which is taken; undefined where that is too far off. */
  take(): number | undefined {
    const now = performance.now();
    const wait = Math.max(0, this.#next - now);
    if (wait > 1000 * LONGEST_WAIT_SECONDS) return undefined;
    this.#next = now + wait + this.#apartMillis;
    return wait;
  }
}

/** What answers are made of. */
interface Service {
  readonly token: string;
  readonly port: number;
  readonly latest: () => Snapshot;
  readonly pace: Pace;
}

/** Answers when the turn comes: 200 who ask at once are served from one snapshot, and take no more of the machine than that. */
function answer(request: IncomingMessage, response: ServerResponse, service: Service): void {
  const wait = service.pace.take();
  if (wait === undefined) {
    response.writeHead(503, { "Retry-After": LONGEST_WAIT_SECONDS, ...HEADERS }).end("too many are asking\n");
    return;
  }
  const turn = (): void => {
    if (!response.destroyed) answerNow(request, response, service);
  };
  if (wait > 1) setTimeout(turn, wait);
  else turn();
}

function answerNow(request: IncomingMessage, response: ServerResponse, { token, port, latest }: Service): void {
  const refuse = ([status, text]: Refusal): void => {
    response.writeHead(status, { "Content-Type": "text/plain; charset=utf-8", ...HEADERS }).end(`${text}\n`);
  };
  const refusal = refusalOf(request, token, port);
  if (refusal) {
    refuse(refusal);
    return;
  }
  try {
    const { page, data, tag } = latest();
    const isPage = !request.url!.startsWith("/data");
    if (!isPage && request.headers["if-none-match"] === tag) {
      response.writeHead(304, { ETag: tag, ...HEADERS }).end();
      return;
    }
    const body = isPage ? page : data;
    response.writeHead(200, {
      "Content-Type": `${isPage ? "text/html" : "application/json"}; charset=utf-8`,
      "Content-Encoding": "gzip",
      "Content-Length": body.byteLength,
      ...(!isPage && { ETag: tag }),
      ...HEADERS,
    });
    response.end(request.method === "HEAD" ? undefined : body);
  } catch (error) {
    refuse([503, `the run's folder can't be read: ${messageOf(error)}`]);
  }
}

/** Status, and what is wrong. */
type Refusal = readonly [number, string];

/** Why a request gets nothing. */
function refusalOf({ headers: { host }, url = "", method }: IncomingMessage, token: string, port: number): Refusal | undefined {
  if (host !== `127.0.0.1:${port}` && host !== `localhost:${port}`) return [403, "this page is for the machine that it runs on"];
  const [path, query = ""] = url.split("?", 2);
  if (!isToken(new URLSearchParams(query).get("token"), token))
    return [403, "the address lacks its token; take the one that `trm report --follow` has printed"];
  if (method !== "GET" && method !== "HEAD") return [405, "only GET is answered"];
  return path === "/" || path === "/data" ? undefined : [404, "there is / and /data"];
}

/** Of every answer: nothing is kept, nothing is told to other pages. */
const HEADERS = {
  "Cache-Control": "no-store",
  "Cross-Origin-Resource-Policy": "same-origin",
  "Referrer-Policy": "no-referrer",
  "X-Content-Type-Options": "nosniff",
  "X-Frame-Options": "DENY",
} as const;

function isToken(given: string | null, token: string): boolean {
  const [a, b] = [given ?? "", token].map((text) => createHash("sha256").update(text).digest()) as [Buffer, Buffer];
  return timingSafeEqual(a, b);
}
