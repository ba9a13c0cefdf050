/** The page as one file: data, script and style in it, nothing fetched. */
import { createHash } from "node:crypto";
import { script, style } from "trm:report-page";
import type { DocumentData, ReportData } from "./report-data.ts";

const COMMANDS = { training: "pretrain", comparison: "compare" } as const;

/** Text that stands for itself in HTML. */
function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}

/**
 * The HTML of a page: of a run, a pre-training or a comparison.
 *
 * Whatever stands in the data, it stays data: no "<" of theirs is in the file, and the page runs no script but its own, known by its hash.
 *
 * @param options.follow the page is served, and asks its server for newer data at `/data`
 */
export function reportHtml(data: ReportData | DocumentData, { follow = false }: { readonly follow?: boolean } = {}): string {
  const json = JSON.stringify(data).replaceAll("<", "\\u003c");
  const hash = (text: string): string => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
  const policy = `default-src 'none'; script-src ${hash(script)}; style-src 'unsafe-inline'; img-src data:; connect-src ${follow ? "'self'" : "'none'"}; base-uri 'none'; form-action 'none'`;
  return `<!doctype html>
<html lang="en"${follow ? " data-follow" : ""}>
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escaped(data.title)}: trm ${"kind" in data ? COMMANDS[data.kind] : "run"}</title>
<link rel="icon" href="data:,">
<style>${style}</style>
</head>
<body>
<script type="application/json" id="report-data">${json}</script>
<script>${script}</script>
</body>
</html>
`;
}
