/** The list of a bundle's files with their SHA-256, and whether they still fit it. */
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod";
import { writeFileAtomically } from "./atomic.ts";
import { sha256Of } from "./sha256.ts";

export const MANIFEST_FILE = "manifest.json";

const digest = z.string().regex(/^[0-9a-f]{64}$/, "a SHA-256 has 64 hexadecimal digits");
const manifestSchema = z.looseObject({
  files: z.record(z.string(), z.union([digest, z.looseObject({ sha256: digest, bytes: z.number().optional() })])),
});

export interface ManifestCheck {
  /** files listed */
  readonly files: number;
  /** a sentence for each file that is missing or changed */
  readonly problems: readonly string[];
}

/** A file as it was packed. */
export interface ListedFile {
  readonly name: string;
  readonly bytes: number;
  /** 64 hexadecimal digits */
  readonly sha256: string;
}

/**
 * Writes a folder's manifest over these files, each read once.
 *
 * @param about what else it is to say, beside the files
 * @returns the files as they are listed
 */
export async function writeManifest(folder: string, names: readonly string[], about: Record<string, unknown>): Promise<ListedFile[]> {
  const listed: ListedFile[] = [];
  for (const name of names) {
    const path = join(folder, name);
    listed.push({ name, bytes: statSync(path).size, sha256: await sha256Of(path) });
  }
  const files = Object.fromEntries(listed.map(({ name, ...entry }) => [name, entry]));
  writeFileAtomically(join(folder, MANIFEST_FILE), `${JSON.stringify({ ...about, files }, null, 2)}\n`);
  return listed;
}

/**
 * Compares the files of a folder with its manifest: `{"files": {"NAME": "SHA-256" or {"sha256", "bytes"}}}`.
 *
 * @returns undefined where the folder has no manifest
 */
export async function checkManifest(folder: string): Promise<ManifestCheck | undefined> {
  const path = join(folder, MANIFEST_FILE);
  if (!statSync(path, { throwIfNoEntry: false })) return undefined;
  let listed: z.infer<typeof manifestSchema>["files"];
  try {
    listed = manifestSchema.parse(JSON.parse(readFileSync(path, "utf8"))).files;
  } catch (error) {
    const what = error instanceof z.ZodError ? z.prettifyError(error) : String(error);
    return { files: 0, problems: [`${MANIFEST_FILE} cannot be read: ${what}`] };
  }
  const problems: string[] = [];
  for (const [name, entry] of Object.entries(listed)) {
    const problem = await problemOf(folder, name, typeof entry === "string" ? { sha256: entry } : entry);
    if (problem) problems.push(`${name} ${problem}`);
  }
  return { files: Object.keys(listed).length, problems };
}

async function problemOf(
  folder: string,
  name: string,
  expected: { sha256: string; bytes?: number | undefined },
): Promise<string | undefined> {
  if (name.startsWith("/") || name.split(/[\\/]/).includes("..")) return "is no name of a file in the bundle";
  const path = join(folder, name);
  const stat = statSync(path, { throwIfNoEntry: false });
  if (!stat?.isFile()) return "is missing";
  if (expected.bytes !== undefined && stat.size !== expected.bytes) return `has ${stat.size} bytes, ${expected.bytes} were packed`;
  return (await sha256Of(path)) === expected.sha256 ? undefined : "has changed since it was packed (SHA-256)";
}
