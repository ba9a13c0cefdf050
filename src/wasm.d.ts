/** esbuild's `binary` loader: the bytes of the file are inside the bundle. */
declare module "*.wasm" {
  const bytes: Uint8Array<ArrayBuffer>;
  export default bytes;
}
