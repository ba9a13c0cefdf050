/** Shell scripts, bundled as their text (build.mjs). */
declare module "*.sh" {
  const text: string;
  export default text;
}
