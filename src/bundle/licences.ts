/** The licences of all that a bundle passes on, as one text. */

/** A part of the bundle and what it may be used under. */
export interface LicensedPart {
  /** what it is, in a line */
  readonly title: string;
  readonly text: string;
}

const RULE = "=".repeat(80);

/** LICENSES.txt: what the parts are, then the text of each. */
export function licencesText(parts: readonly LicensedPart[]): string {
  const contents = parts.map(({ title }, i) => `${i + 1}. ${title}`).join("\n");
  const sections = parts.map(({ title, text }, i) => `${RULE}\n${i + 1}. ${title}\n${RULE}\n\n${text.trim()}\n`);
  return `Licences of the parts of this bundle\n\n${contents}\n\n${sections.join("\n")}`;
}
