/** A pure function of tensors, compiled when it is first called, once per shape of its inputs. */
import type * as tf from "@tensorflow/tfjs-core";
import { clearOwnCache, hasOwnCache, sealOwnCache } from "../backend/compilation-cache.ts";
import { messageOf } from "../errors.ts";
import { type CompiledStep, type CompileOptions, compile } from "./compile.ts";
import { isFusedAttention } from "./fused-attention.ts";
import { printType, type ValueType } from "./graph.ts";
import { asItComes, isOutOfMemory, type ReadyStep, type Step } from "./ready-step.ts";

/** A step's first run, in which it is compiled: about to begin, or over. */
export interface FirstRun {
  readonly underway: boolean;
  /** it has attention by cuDNN, which an error in native code may end with the process */
  readonly fused: boolean;
  /** attention by cuDNN has failed in it, though the process lives on */
  readonly failed?: boolean;
}

/** What came of attention by cuDNN so far, for all steps of a process: where it has failed once it is not tried again. */
export class AttentionTrial {
  hasFailed = false;

  /** @param tell is told before and after each first run of a step */
  constructor(readonly tell: (run: FirstRun) => void = () => {}) {}
}

/** XLA compiles nothing in this process, which keeps what it compiles: without that it may. */
export class CacheSuspected extends Error {
  override readonly name = "CacheSuspected";
}

export interface JitOptions extends CompileOptions {
  /** shared by steps that give up attention by cuDNN together */
  readonly trial?: AttentionTrial;
  /** is told, once per shape and reason, why something runs slower than it could */
  readonly warn: (sentence: string) => void;
  /** whoever asks can start this process again, with another environment: then `CacheSuspected` may be thrown */
  readonly mayRestart?: boolean;
}

/** The fastest way first. */
function attemptsAt(options: CompileOptions, { hasFailed }: AttentionTrial): CompileOptions[] {
  if (options.target === "graph") return [options];
  const composed = { ...options, fusedAttention: false };
  return [...(options.fusedAttention && !hasFailed ? [options] : []), composed, { ...composed, target: "graph" }];
}

/** What a file system says where it has no room, or no more open files, for the moment: compiling writes a file. */
const PASSING = ["ENOSPC", "EDQUOT", "EMFILE", "ENFILE"];

/**
 * The step, compiled where that works: by XLA where that is the target, with attention by cuDNN where that is asked for, else
 * as TensorFlow's graph, else op by op.
 *
 * @param name of the step, for warnings
 * @throws what the step throws op by op, and errors of running out of memory, which running it otherwise would not mend
 */
export function jit(
  name: string,
  step: Step,
  { warn, trial = new AttentionTrial(), mayRestart = false, ...options }: JitOptions,
): ReadyStep {
  const compiled = new Map<string, CompiledStep | "op by op">();

  /** Compiles and runs for the first time: XLA compiles no sooner than that. */
  const firstRun = (key: string, inputs: tf.Tensor[]): tf.Tensor[] => {
    const attempts = attemptsAt(options, trial);
    let cleared = false;
    let refusal: string | undefined; // by XLA
    let refused: string | undefined; // attention by cuDNN, by whatever it was
    let fused = false; // the attempt has it
    /** Until something works, what attention by cuDNN has spoilt may end the process. */
    const tell = (underway: boolean): void =>
      trial.tell({ underway, fused: fused || refused !== undefined, ...(!underway && trial.hasFailed && { failed: true }) });
    const blame = (why: string): void => {
      trial.hasFailed = true;
      warn(
        `${name}: attention by cuDNN fails here; it is composed from now on, which is slower and takes more memory (--attention composed does so at once): ${why}`,
      );
    };
    for (let attempt = attempts.shift(); attempt; attempt = attempts.shift()) {
      let candidate: CompiledStep | undefined;
      fused = false;
      if (attempt.target === "graph" && refusal !== undefined && mayRestart && hasOwnCache()) throw new CacheSuspected(refusal);
      try {
        candidate = compile(step, inputs, attempt);
        fused = candidate.graph.nodes.some(isFusedAttention);
        tell(true);
        const results = candidate.run(inputs);
        if (refused !== undefined && attempt.target !== "graph") blame(refused); // without it XLA compiles
        compiled.set(key, candidate);
        if (attempt.target !== "graph") sealOwnCache();
        return results;
      } catch (error) {
        candidate?.dispose();
        if (isOutOfMemory(error)) {
          if (refused !== undefined) blame(refused);
          throw error;
        }
        if (attempt.target !== "graph") refusal = messageOf(error);
        if (PASSING.includes((error as NodeJS.ErrnoException).code ?? "")) {
          warn(`${name} runs op by op this once: ${messageOf(error)}`);
          return asItComes(step, inputs);
        }
        if (attempt.target !== "graph" && !cleared && clearOwnCache()) {
          cleared = true; // what was compiled before may be damaged
          attempts.unshift(attempt);
          continue;
        }
        if (fused) {
          refused = messageOf(error);
          continue;
        }
        if (attempt.fusedAttention) attempts.shift(); // the step has no attention: the next way is the same
        const how = attempt.target === undefined ? "" : ` (${attempt.target})`;
        warn(`${name} does not run compiled${how}: ${messageOf(error)}`);
      } finally {
        tell(false);
      }
    }
    if (refused !== undefined) tell(true);
    try {
      const results = asItComes(step, inputs);
      compiled.set(key, "op by op");
      return results;
    } catch (error) {
      if (refused !== undefined) blame(refused); // nothing works after it: it may have cost this process its GPU
      throw error;
    } finally {
      if (refused !== undefined) tell(false);
    }
  };

  return {
    run(inputs) {
      const key = inputs.map(({ dtype, shape }) => printType({ dtype, shape } as ValueType)).join(" ");
      const known = compiled.get(key);
      if (!known) return firstRun(key, inputs);
      return known === "op by op" ? asItComes(step, inputs) : known.run(inputs);
    },
    dispose() {
      for (const entry of compiled.values()) if (entry !== "op by op") entry.dispose();
      compiled.clear();
    },
  };
}
