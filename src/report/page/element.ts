/** Elements without markup: text stays text, whatever stands in it. */

type Child = Node | string | undefined | false;

/** An HTML element. Properties that are functions are listeners (`onclick`); false and undefined leave an attribute out. */
export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Readonly<Record<string, unknown>> = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) set(made, name, value);
  made.append(...children.filter((child) => child !== undefined && child !== false));
  return made;
}

/** An SVG element. */
export function svg(tag: string, attributes: Readonly<Record<string, unknown>> = {}, ...children: readonly Child[]): SVGElement {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) set(made, name, value);
  made.append(...children.filter((child) => child !== undefined && child !== false));
  return made;
}

function set(target: Element, name: string, value: unknown): void {
  if (typeof value === "function") target.addEventListener(name.slice(2), value as EventListener);
  else if (value !== undefined && value !== false) target.setAttribute(name, value === true ? "" : String(value));
}

/** A list to choose from, under its name. */
export function choice<T extends string>(
  label: string,
  options: Readonly<Record<T, string>>,
  chosen: T,
  change: (value: T) => void,
): HTMLLabelElement {
  const entries = Object.entries(options) as [T, string][];
  const list = element(
    "select",
    { onchange: (event: Event) => change((event.target as HTMLSelectElement).value as T) },
    ...entries.map(([value, text]) => element("option", { value, selected: value === chosen }, text)),
  );
  return element("label", {}, label, list);
}
