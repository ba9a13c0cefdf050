/** What a file is that was meant to be a checkpoint and is something else: the usual accidents of downloading. */

/**
 * Names the accident, with what to do about it; `undefined` where the first bytes show none.
 *
 * @param bytes the file or at least its first 512 bytes
 * @param expected the kind of file that is read here; its own signature is not an accident
 */
export function describeWrongFile(bytes: Uint8Array, expected: "safetensors" | "json" | "pytorch"): string | undefined {
  if (bytes.byteLength === 0) return "is empty; copy it again";
  const start = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(512, bytes.byteLength)).toString("latin1");
  if (start.startsWith("version https://git-lfs.github.com/spec/")) {
    return "is a Git LFS pointer, not the file itself; run `git lfs pull` in its repository and copy it again";
  }
  if (/^\s*<(!doctype|html|head|\?xml)/i.test(start.replace(/^\xef\xbb\xbf/, ""))) {
    return "is a web page, most likely a login or error page saved under this name; download it again";
  }
  if (expected === "pytorch") return undefined;
  if (start.startsWith("PK\x03\x04")) return "is a zip archive or PyTorch checkpoint; turn it into a checkpoint folder with `trm convert`";
  if (bytes[0] === 0x80 && bytes[1]! >= 2 && bytes[1]! <= 5)
    return "is a Python pickle; turn it into a checkpoint folder with `trm convert`";
  return undefined;
}
