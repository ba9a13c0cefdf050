import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { crc32 } from "node:zlib";
import fc from "fast-check";
import { unzipSync } from "fflate";
import { writeZip } from "../../../src/bundle/zip-file.ts";
import { UserError } from "../../../src/errors.ts";

const folder = mkdtempSync(join(tmpdir(), "trm-zip-"));
after(() => rmSync(folder, { recursive: true }));
const TIME = new Date(2026, 0, 2, 3, 4, 6);

test("files come out of the archive as they went in, empty ones and random ones too", async () => {
  const contents = fc.array(fc.uint8Array({ maxLength: 70_000, size: "max" }), { maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(contents, async (files) => {
      const entries = files.map((bytes, i) => {
        writeFileSync(join(folder, `file-${i}`), bytes);
        return { name: `file-${i}`, executable: i % 2 === 1 };
      });
      const zip = join(folder, "a.zip");
      const sizes = await writeZip(zip, folder, entries, TIME);
      const bytes = readFileSync(zip);
      const unzipped = unzipSync(bytes);
      assert.deepEqual(
        Object.keys(unzipped),
        entries.map(({ name }) => name),
      );
      for (const [i, { name, executable }] of entries.entries()) {
        assert.deepEqual(unzipped[name], files[i]);
        // the directory's entry, from the format's description: CRC at 16, sizes at 20 and 24, name at 46, attributes at 38
        const at = bytes.lastIndexOf(Buffer.from(name)) >= 0 ? directoryEntry(bytes, name) : -1;
        assert.equal(bytes.readUInt32LE(at + 16), crc32(files[i]!));
        assert.equal(bytes.readUInt32LE(at + 20), sizes[i]);
        assert.equal(bytes.readUInt32LE(at + 24), files[i]!.length);
        assert.equal(bytes.readUInt32LE(at + 38) >>> 16, executable ? 0o100755 : 0o100644);
      }
    }),
    { numRuns: 25, endOnFailure: true }, // shrinking 70 000 random bytes takes minutes
  );
});

/** Where a file's entry in the central directory starts. */
function directoryEntry(zip: Buffer, name: string): number {
  const start = zip.readUInt32LE(zip.length - 22 + 16);
  const at = zip.indexOf(name, start, "latin1") - 46;
  assert.equal(zip.readUInt32LE(at), 0x02014b50);
  return at;
}

test("the same files at the same time give the same bytes", async () => {
  writeFileSync(join(folder, "x"), "some text");
  const zips = ["1.zip", "2.zip"].map((name) => join(folder, name));
  for (const zip of zips) await writeZip(zip, folder, [{ name: "x", executable: false }], TIME);
  assert.deepEqual(readFileSync(zips[0]!), readFileSync(zips[1]!));
});

test("a file too large for the format is refused, one that is missing fails, and neither leaves an archive behind", async () => {
  const zip = join(folder, "large.zip");
  const large = join(folder, "large");
  writeFileSync(large, "");
  truncateSync(large, 2 ** 32); // takes no room
  await assert.rejects(writeZip(zip, folder, [{ name: "large", executable: false }], TIME), UserError);
  rmSync(large);
  await assert.rejects(writeZip(zip, folder, [{ name: "large", executable: false }], TIME), /ENOENT/);
  assert.ok(!existsSync(zip));
  assert.deepEqual(
    readdirSync(folder).filter((name) => name.endsWith(".tmp")),
    [],
  );
});
