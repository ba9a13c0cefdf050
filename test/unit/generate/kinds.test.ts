import assert from "node:assert/strict";
import { test } from "node:test";
import { type Grid, gridToRows } from "../../../src/arc/grid.ts";
import { KINDS, kindNamed } from "../../../src/generate/generate.ts";

/** A grid from rows of digits, a dot for 0. */
function grid(text: string): Grid {
  const rows = text.trim().split(/\s+/);
  return { rows: rows.length, cols: rows[0]!.length, cells: Uint8Array.from([...rows.join("")].map((c) => (c === "." ? 0 : Number(c)))) };
}

/** Rule, input, output: worked out by hand from what the kind says it is about. */
const EXAMPLES: readonly [label: string, input: string, output: string][] = [
  ["mirror axis=left-right", "12. ..3", ".21 3.."],
  ["mirror axis=top-bottom", "12. ..3", "..3 12."],
  ["mirror axis=diagonal", "12. ..3", "1. 2. .3"],
  ["mirror axis=antidiagonal", "12. ..3", "3. .2 .1"],
  ["rotate turn=quarter", "12. ..3", ".1 .2 3."],
  ["rotate turn=half", "12. ..3", "3.. .21"],
  ["rotate turn=three-quarters", "12. ..3", ".3 2. 1."],
  ["complete-symmetry given=left", "12... ..3..", "12.21 ..3.."],
  ["complete-symmetry given=down", "... ... 12. 3..", "3.. 12. 12. 3.."],
  ["repair-symmetry mirrored=cols hole=9", "1221 9434 5665", "1221 4434 5665"],
  ["repair-symmetry mirrored=rows hole=9", "1999 3456 1278", "1278 3456 1278"],
  ["append-image side=right copy=mirrored", "12 3.", "1221 3..3"],
  ["append-image side=right copy=flipped", "12 3.", "123. 3.12"],
  ["append-image side=up copy=turned", "12 3.", ".3 21 12 3."],
  ["append-image side=left copy=mirrored", "12 3.", "2112 .33."],
  ["tile down=2 across=1", "12 3.", "12 3. 12 3."],
  ["tile down=1 across=3", "12 3.", "121212 3.3.3."],
  ["kaleidoscope down=first across=first", "12 3.", "1221 3..3 3..3 1221"],
  ["kaleidoscope down=second across=second", "12 3.", ".33. 2112 2112 .33."],
  ["move-object down=1 across=-2", "..55 ..5. ....", ".... 55.. 5..."],
  ["shift direction=right by=1", "12. 345", ".12 .34"],
  ["shift direction=up by=2", "12 34 56", "56 .. .."],
  ["roll down=0 across=1", "12. 345", ".12 534"],
  ["roll down=-1 across=-1", "12. 345", "453 2.1"],
  ["gravity towards=down", "1.3 2.. ..4", "... 1.3 2.4"],
  ["gravity towards=left", ".1.2 ..3.", "12.. 3..."],
  ["slide color=3 towards=right", "33.. 3... .7..", "..33 ..3. .7.."],
  ["slide color=3 towards=up", "7.. .3. .33", "73. .33 ..."],
  ["recolor from=2 to=5", "12 25", "15 55"],
  ["swap-colors one=2 two=5", "12 25", "15 52"],
  ["color-map from=1,2,3 to=7,5,9", "12. 334", "75. 994"],
  ["keep-color color=2", "12 25", ".2 2."],
  ["remove-color color=2", "12 25", "1. .5"],
  ["fill-background color=4", "1. .2", "14 42"],
  ["negative", "3.. .33", ".33 3.."],
  ["alternate-lines lines=rows from=1 color=8", "12 .1 21", "12 .8 21"],
  ["alternate-lines lines=cols from=0 color=8", "121 .12", "828 .18"],
  ["checkerboard from=0 color=6", "... .2. ...", "6.6 .2. 6.6"],
  ["checkerboard from=1 color=6", "... .2. ...", ".6. 626 .6."],
  ["recolor-dots color=0", "11.3 .... 2.33", "11.. .... ..33"],
  ["recolor-dots color=5", "11.3 .... 2.33", "11.5 .... 5.33"],
  ["fill-enclosed color=4", "333. 3.3. 333. 2...", "333. 343. 333. 2..."],
  ["fill-enclosed color=4", "3333 3..3 3333", "3333 3443 3333"],
  ["hollow color=0", "7777 7777 7777", "7777 7..7 7777"],
  ["hollow color=2", "777. 777. 777.", "777. 727. 777."],
  ["outline corners=with color=4", ".... .3.. ....", "444. 434. 444."],
  ["outline corners=without color=4", ".... .3.. ....", ".4.. 434. .4.."],
  ["border color=2", "3... ..5. ....", "2222 2.52 2222"],
  ["fill-box color=9", "3.. 33. ...", "39. 33. ..."],
  ["mark-corners color=1", ".555 .555 .555 ....", ".151 .555 .151 ...."],
  ["ray towards=right ink=own", "5... .... .2..", "5555 .... .222"],
  ["ray towards=up ink=4", "... 5.2 ...", "4.4 5.2 ..."],
  ["project towards=down ink=own", "5.. ... ..2 ... ...", "5.. ... ..2 ... 5.2"],
  ["project towards=left ink=4", "...3 ....", "4..3 ...."],
  ["diagonal-ray towards=down-right ink=own", "2... .... .... ....", "2... .2.. ..2. ...2"],
  ["diagonal-ray towards=up-right ink=6", ".... .... .3..", "...6 ..6. .3.."],
  ["full-line lines=rows ink=own", ".5. ... 2..", "555 ... 222"],
  ["full-line lines=cols ink=7", ".5. ... 2..", "75. 77. 27."],
  ["cross ink=own", "... .5. ...", ".5. 555 .5."],
  ["cross ink=3", "5.. ... ...", "533 3.. 3.."],
  ["connect ink=own", "5..5 .3.. ....", "5555 .3.. ...."],
  ["connect ink=7", "5.3 ... 5..", "5.3 7.. 5.."],
  ["continue-pattern start=left period=2", "1212.. 3535..", "121212 353535"],
  ["continue-pattern start=down period=3", ". . 4 2 1 4 2", "2 1 4 2 1 4 2"],
  ["crop", ".... .12. .1..", "12 1."],
  ["crop-color color=2", "3.... .22.. ..2..", "22 .2"],
  ["scale down=2 across=2", "1. .2", "11.. 11.. ..22 ..22"],
  ["scale down=1 across=3", "1. .2", "111... ...222"],
  ["add-frame color=5", "12", "5555 5125 5555"],
  ["peel", "1234 5.78 1234", ".7"],
  ["take-half halves=cols keep=first", "1.522 .3523", "1. .3"],
  ["take-half halves=rows keep=second", "12 .. 88 3. .4", "3. .4"],
  ["swap-halves halves=cols", "1.522 .3523", "2251. 235.3"],
  ["swap-halves halves=rows", "12 88 3.", "3. 88 12"],
  ["overlay halves=cols mark=both color=3", "11.92.2", "3.."],
  ["overlay halves=cols mark=either color=3", "11.92.2", "333"],
  ["overlay halves=cols mark=one color=3", "11.92.2", ".33"],
  ["overlay halves=rows mark=neither color=3", "1.. 999 .2.", "..3"],
  ["count-bar bar=rows ink=own", "4.4 ... .4.", "444.."],
  ["count-bar bar=cols ink=7", "4.4 ... ...", "7 7 . . ."],
  ["majority-color which=most answer=cell", "112 131 311", "1"],
  ["majority-color which=least answer=grid", "112 131 311", "222 222 222"],
  ["line-majority lines=rows", "112 333 242", "111 333 222"],
  ["line-majority lines=cols", "142 132 332", "132 132 132"],
  ["keep-object which=largest", "11.2 1... ..33", "11.. 1... ...."],
  ["keep-object which=smallest", "11.2 1... ..33", "...2 .... ...."],
  ["sort-bars on=down order=rising", ".2. 12. 123", "..2 .12 312"],
  ["sort-bars on=left order=falling", "1... 222. 33..", "222. 33.. 1..."],
  ["mark-bar which=longest color=9", ".2. 22. 222", ".9. 29. 292"],
  ["mark-bar which=shortest color=9", ".2. 22. 222", ".2. 22. 229"],
];

for (const [label, input, output] of EXAMPLES) {
  test(`${label} makes ${output} of ${input}`, () => {
    const rule = [...kindNamed(label.split(" ")[0]!).rules()].find((candidate) => candidate.label === label);
    assert.ok(rule, "the kind has such a rule");
    assert.deepEqual(gridToRows(rule.answer(grid(input))), gridToRows(grid(output)));
  });
}

test("every kind has an example here", () => {
  const shown = new Set(EXAMPLES.map(([label]) => label.split(" ")[0]));
  assert.deepEqual(
    KINDS.map((kind) => kind.name).filter((name) => !shown.has(name)),
    [],
  );
});
