/** How a run stands, in a word. */
export const STATES = {
  running: { text: "running", kind: "live" },
  finished: { text: "finished", kind: "good" },
  "broken-off": { text: "broken off", kind: "bad" },
} as const;
