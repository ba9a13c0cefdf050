/** The page's own script and style, bundled by build.mjs. */
declare module "trm:report-page" {
  export const script: string;
  export const style: string;
}
