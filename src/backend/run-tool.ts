/** Runs a program of the machine's to its end and keeps what it said. */
import { spawn } from "node:child_process";

/** How a program ended. */
export interface ToolResult {
  /** there is no such program, or it may not be run */
  readonly missing: boolean;
  /** exit status; null where a signal ended it or it never ran */
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly timedOut: boolean;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Resolves however the program ends, also where there is none; never rejects.
 *
 * @param options.environment   added to this process's
 * @param options.timeoutMillis after which it is killed
 */
export function runTool(
  command: string,
  args: readonly string[],
  options: { environment?: Record<string, string>; timeoutMillis?: number } = {},
): Promise<ToolResult> {
  return new Promise((resolve) => {
    let stdout = "";
    let stderr = "";
    let timedOut = false;
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...options.environment } });
    const timer =
      options.timeoutMillis === undefined
        ? undefined
        : setTimeout(() => {
            timedOut = true;
            child.kill("SIGKILL");
            // One that hangs in the kernel is not waited for.
            for (const stream of [child.stdout, child.stderr]) stream.destroy();
            child.unref();
            resolve({ missing: false, status: null, signal: "SIGKILL", timedOut, stdout, stderr });
          }, options.timeoutMillis);
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
    });
    child.on("error", () => {
      clearTimeout(timer);
      resolve({ missing: true, status: null, signal: null, timedOut, stdout, stderr });
    });
    child.on("close", (status, signal) => {
      clearTimeout(timer);
      resolve({ missing: false, status, signal, timedOut, stdout, stderr });
    });
  });
}

/** The last lines of a text that are not empty, for an error message. */
export function lastLines(text: string, count: number): string {
  return text
    .split("\n")
    .map((line) => line.trimEnd())
    .filter((line) => line !== "")
    .slice(-count)
    .join("\n");
}
