/**
 * The model's functions as the golden tests call them: op by op, or, where TRM_TEST_COMPILE is `graph` or `xla`, compiled for it.
 * A function that does not run compiled then fails the test: there is no way back to op by op.
 */
import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import * as actLoss from "../../src/loss/act-loss.ts";
import * as stablemax from "../../src/loss/stablemax.ts";
import * as attentionLayer from "../../src/model/attention.ts";
import * as blockLayer from "../../src/model/block.ts";
import * as swigluLayer from "../../src/model/swiglu.ts";
import * as trm from "../../src/model/trm.ts";
import * as adam from "../../src/optim/adam-atan2.ts";
import * as average from "../../src/optim/ema.ts";
import type { EmitOptions } from "../../src/trace/emit.ts";
import { jit } from "../../src/trace/jit.ts";
import type { ReadyStep } from "../../src/trace/ready-step.ts";
import * as actStep from "../../src/train/act-step.ts";

type Target = EmitOptions["target"];

/** What the functions of this file are compiled for; op by op where it is none. */
export const COMPILED_FOR: Target | undefined = targetAskedFor();

function targetAskedFor(): Target | undefined {
  const { TRM_TEST_COMPILE: target, TRM_TEST_ENGINE: engine } = process.env;
  if (target === undefined || target === "") return undefined;
  if (target !== "graph" && target !== "xla") throw new Error(`TRM_TEST_COMPILE is ${target}: expected graph or xla`);
  if (engine !== "tensorflow") throw new Error(`TRM_TEST_COMPILE=${target} needs TRM_TEST_ENGINE=tensorflow`);
  return target;
}

/** A place of a tensor in arguments or results. */
class Place {
  constructor(readonly index: number) {}
}

/** A nest of arrays and plain objects with every tensor in it replaced. */
function replaceTensors(nest: unknown, replacement: (tensor: tf.Tensor) => unknown): unknown {
  if (nest instanceof tf.Tensor) return replacement(nest);
  if (typeof nest === "function") throw new Error("a function can't be told from another: make it inside the step that is compiled");
  if (Array.isArray(nest)) return nest.map((value) => replaceTensors(value, replacement));
  if (typeof nest !== "object" || nest === null) return nest;
  return Object.fromEntries(Object.entries(nest).map(([key, value]) => [key, replaceTensors(value, replacement)]));
}

/** The nest with places for its tensors, and these in order. */
function takeTensors(nest: unknown): { places: unknown; tensors: tf.Tensor[] } {
  const tensors: tf.Tensor[] = [];
  const places = replaceTensors(nest, (tensor) => new Place(tensors.push(tensor) - 1));
  return { places, tensors };
}

function putTensors(places: unknown, tensors: readonly tf.Tensor[]): unknown {
  if (places instanceof Place) return tensors[places.index];
  if (Array.isArray(places)) return places.map((value) => putTensors(value, tensors));
  if (typeof places !== "object" || places === null) return places;
  return Object.fromEntries(Object.entries(places).map(([key, value]) => [key, putTensors(value, tensors)]));
}

/**
 * A pure function of nests of tensors and plain values, compiled: its tensors become inputs and outputs of one step, everything
 * else is fixed in it. One step is made for each set of such values, and by `jit` for each set of shapes.
 *
 * @throws where it does not run compiled
 */
export function compiledFor<A extends unknown[], R>(options: EmitOptions, name: string, f: (...args: A) => R): (...args: A) => R {
  const made = new Map<string, { ready: ReadyStep; results: unknown }>();
  const warn = (sentence: string): never => {
    throw new Error(sentence);
  };
  return (...args) => {
    const { places, tensors } = takeTensors(args);
    const key = JSON.stringify(places);
    let step = made.get(key);
    if (!step) {
      const run = (inputs: tf.Tensor[]): tf.Tensor[] => {
        assert.equal(tf.getBackend(), "trace", `${name} runs op by op`);
        const given = takeTensors(tf.tidy(() => f(...(putTensors(places, inputs) as A)) as tf.TensorContainer));
        step!.results = given.places;
        return given.tensors;
      };
      step = { ready: jit(name, run, { ...options, warn }), results: undefined };
      made.set(key, step);
    }
    const results = step.ready.run(tensors);
    return putTensors(step.results, results) as R;
  };
}

/** The function as the tests of a golden fixture call it. */
export function underTest<A extends unknown[], R>(name: string, f: (...args: A) => R): (...args: A) => R {
  return COMPILED_FOR ? compiledFor({ target: COMPILED_FOR, precision: "float32" }, name, f) : f;
}

export const inputEmbeddings = underTest("input embedding", trm.inputEmbeddings);
export const attention = underTest("attention", attentionLayer.attention);
export const swiglu = underTest("SwiGLU", swigluLayer.swiglu);
export const block = underTest("block", blockLayer.block);
export const logStablemax = underTest("log stablemax", stablemax.logStablemax);
export const stablemaxCrossEntropy = underTest("cross entropy", stablemax.stablemaxCrossEntropy);
export const rowLosses = underTest("row losses", actLoss.rowLosses);
export const evaluationStep = underTest("evaluation step", actStep.evaluationStep);
export const readOut = underTest("read-out", actStep.readOut);
export const gradientStep = underTest("gradient step", actStep.gradientStep);

const adamATan2Step = underTest("AdamATan2", adam.adamATan2);
const emaStep = underTest("moving average", average.emaUpdate);

/** Numbers that change from step to step, as inputs of a compiled step. */
const asInput = (rate: number | tf.Scalar): number | tf.Scalar => (COMPILED_FOR && typeof rate === "number" ? tf.scalar(rate) : rate);

export const adamATan2: typeof adam.adamATan2 = (state, gradient, rates, settings) => {
  const inputs = Object.fromEntries(Object.entries(rates).map(([name, rate]) => [name, asInput(rate)]));
  return adamATan2Step(state, gradient, inputs as unknown as adam.AdamATan2Rates, settings);
};

export const emaUpdate: typeof average.emaUpdate = (before, weights, decay) => emaStep(before, weights, asInput(decay));
