import assert from "node:assert/strict";
import { test } from "node:test";
import { findBindingSources, newerThanImage } from "../../../src/backend/build-binding.ts";

/** Lines as binutils prints them. */
const symbols = (...versions: string[]): string =>
  versions.map((version) => `0000000000000000      DF *UND*\t0000000000000000 (${version}) some_symbol`).join("\n");

test("a binding that asks for what Ubuntu 22.04 has, or less, passes", () => {
  assert.deepEqual(newerThanImage(symbols("GLIBC_2.2.5", "GLIBC_2.35", "GLIBCXX_3.4.30", "GLIBCXX_3.4.9", "CXXABI_1.3.13")), []);
  assert.deepEqual(newerThanImage(""), []);
});

test("newer symbol versions are named, the newest of each library, compared number by number", () => {
  assert.deepEqual(newerThanImage(symbols("GLIBC_2.36", "GLIBC_2.38", "GLIBC_2.4", "GLIBCXX_3.4.32", "CXXABI_1.3.9")), [
    "GLIBC_2.38 (the image: 2.35)",
    "GLIBCXX_3.4.32 (the image: 3.4.30)",
  ]);
  assert.deepEqual(newerThanImage(symbols("GLIBCXX_3.4.100")), ["GLIBCXX_3.4.100 (the image: 3.4.30)"]);
  assert.deepEqual(newerThanImage(symbols("CXXABI_1.3.14")), ["CXXABI_1.3.14 (the image: 1.3.13)"]);
});

test("the sources are those of the checkout that has them", () => {
  const sources = findBindingSources(["/nowhere", process.cwd()]);
  assert.match(sources!.sha256, /^[0-9a-f]{64}$/);
  assert.ok(sources!.binding.startsWith(process.cwd()));
  assert.equal(findBindingSources(["/nowhere"]), undefined);
});
