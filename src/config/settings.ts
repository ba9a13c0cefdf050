/** Settings, each declared once: type, default, bounds, meaning, source. Flags, help, checks and tables derive from a table of them. */

/** What one setting may be. */
export type Setting =
  | {
      readonly kind: "int" | "num";
      readonly default: number;
      readonly min: number;
      readonly max: number;
      readonly about: string;
      readonly unit?: string;
      readonly source: string;
    }
  | {
      readonly kind: "choice";
      readonly default: string;
      readonly choices: readonly string[];
      readonly about: string;
      readonly source: string;
    }
  | { readonly kind: "bool"; readonly default: boolean; readonly about: string; readonly source: string }
  | { readonly kind: "text"; readonly default: string; readonly about: string; readonly source: string };

/** Settings by name. */
export type SettingsTable = Readonly<Record<string, Setting>>;

type ValueOf<S> = S extends { kind: "choice"; choices: readonly (infer C)[] }
  ? C
  : S extends { kind: "bool" }
    ? boolean
    : S extends { kind: "text" }
      ? string
      : number;

/** Resolved values of all settings of a table. */
export type Values<Table extends SettingsTable> = { readonly [Name in keyof Table]: ValueOf<Table[Name]> };

interface NumberOptions {
  readonly about: string;
  readonly source: string;
  readonly min?: number;
  readonly max?: number;
  readonly unit?: string;
}

interface Options {
  readonly about: string;
  readonly source: string;
}

/** A whole number. */
export const int = (value: number, options: NumberOptions) => ({
  kind: "int" as const,
  default: value,
  min: 0,
  max: Number.MAX_SAFE_INTEGER,
  ...options,
});

/** A number. */
export const num = (value: number, options: NumberOptions) => ({
  kind: "num" as const,
  default: value,
  min: 0,
  max: Number.MAX_VALUE,
  ...options,
});

/** One of several names. */
export const choice = <const C extends readonly string[]>(value: C[number], choices: C, options: Options) => ({
  kind: "choice" as const,
  default: value as C[number],
  choices,
  ...options,
});

/** True or false. */
export const bool = (value: boolean, options: Options) => ({ kind: "bool" as const, default: value, ...options });

/** Any text. */
export const text = (value: string, options: Options) => ({ kind: "text" as const, default: value, ...options });

/** `lrTrunk` -> `lr-trunk`. */
export function flagName(setting: string): string {
  return setting.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** What is wrong with a value for a setting; undefined where nothing is. */
export function problemOf(name: string, setting: Setting, value: unknown): string | undefined {
  const flag = `--${flagName(name)}`;
  if (setting.kind === "choice")
    return typeof value === "string" && setting.choices.includes(value)
      ? undefined
      : `${flag} is ${String(value)}; expected ${setting.choices.join(", ")}`;
  if (setting.kind === "bool") return typeof value === "boolean" ? undefined : `${flag} is ${String(value)}; expected true or false`;
  if (setting.kind === "text") return typeof value === "string" ? undefined : `${flag} is ${String(value)}; expected a text`;
  const whole = setting.kind === "int";
  if (
    typeof value !== "number" ||
    !Number.isFinite(value) ||
    (whole && !Number.isInteger(value)) ||
    value < setting.min ||
    value > setting.max
  ) {
    const upTo = setting.max >= Number.MAX_SAFE_INTEGER ? ` from ${setting.min} up` : ` in ${setting.min}..${setting.max}`;
    return `${flag} is ${String(value)}; expected ${whole ? "a whole number" : "a number"}${upTo}${setting.unit ? ` (${setting.unit})` : ""}`;
  }
  return undefined;
}
