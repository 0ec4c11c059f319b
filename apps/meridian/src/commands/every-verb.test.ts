// SPDX-License-Identifier: Apache-2.0

// What holds of every verb alike, looked at over the table of commands: what shells offer, --output json, examples, and the exit codes of design's
// list where nothing is at hand to do it with.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { CommandInput, type CommandDefinition, type OptionDefinition } from "../command.ts";
import { commands } from "../commands.ts";
import { ExitCode, exitCodeOf } from "../exit-code.ts";
import { completionScript } from "./completion.ts";

/** Servers, a script, JSON lines as they are, and what another program prints. */
const withoutJson: ReadonlySet<string> = new Set([
  ...["up", "control", "edge", "probe", "quickstart"],
  ...["completion", "audit export", "bench dns", "zone import", "zone export"],
]);

/** A zsh that waits for another key is ended. */
const ZSH_MS_MAX = 120_000;

function flagsOf({ flags }: OptionDefinition): string[] {
  return flags.match(/--[a-z-]+/g) ?? [];
}

function visible({ options }: CommandDefinition): OptionDefinition[] {
  return options.filter(({ isHidden }) => isHidden !== true);
}

/** What bash offers after each list of words, of which the last is being typed. */
function offered(lists: readonly (readonly string[])[]): string[][] {
  const cases = lists.map((words) => {
    const quoted = words.map((word) => `'${word}'`).join(" ");
    return `COMP_WORDS=(meridian ${quoted}); COMP_CWORD=${words.length}; COMPREPLY=(); _meridian; echo "\${COMPREPLY[*]}"`;
  });
  const script = `${completionScript("bash")}\n${cases.join("\n")}`;
  const { stdout, stderr } = spawnSync("bash", ["-c", script], {
    cwd: import.meta.dirname,
    encoding: "utf8",
  });
  assert.equal(stderr, "");
  return stdout
    .trimEnd()
    .split("\n")
    .map((line) => line.split(" ").filter((word) => word !== ""));
}

/** Words, of which the last is being typed, and all that is to be offered; of a verb that is typed, that verb among others. */
function everyOffer(): { readonly words: readonly string[]; readonly wanted: readonly string[] }[] {
  return commands.flatMap((command) => {
    const name = command.name.split(" ");
    const kinds = command.arguments.flatMap(({ choices }) => choices ?? []);
    const chosen = visible(command).flatMap((option) =>
      flagsOf(option).map((flag) => ({
        words: [...name, flag, ""],
        wanted: option.choices ?? [],
      })),
    );
    return [
      { words: name, wanted: name.slice(-1) },
      { words: [...name, "--"], wanted: visible(command).flatMap(flagsOf) },
      ...[{ words: [...name, ""], wanted: kinds }, ...chosen].filter(
        ({ wanted }) => wanted.length > 0,
      ),
    ];
  });
}

function assertOffers(ask: (lists: readonly (readonly string[])[]) => string[][]): void {
  const asked = everyOffer();
  const found = ask(asked.map(({ words }) => words));
  for (const [index, { words, wanted }] of asked.entries()) {
    const offers = found[index] ?? [];
    const isVerb = words.at(-1) === wanted[0] && wanted.length === 1;
    if (isVerb)
      assert.ok(offers.includes(wanted[0] ?? ""), `${words.join(" ")}: ${offers.join(" ")}`);
    else assert.deepEqual(offers.toSorted(), [...wanted].toSorted(), `meridian ${words.join(" ")}`);
  }
}

test("bash offers every verb, the kinds of its arguments, its options and their choices, and no other verb's", () => {
  assertOffers(offered);
});

/**
 * Asks for each line of `lines` what zsh would show, which only a shell at a terminal can: a key does it. What is offered goes through
 * `compadd`, which says with -O which of it fits.
 */
const zshAsked = `source ./completion
compadd() {
  local -a found
  builtin compadd -O found "$@"
  print -r -- $found >>offers
  builtin compadd "$@"
}
offer() { _main_complete; compstate[insert]= compstate[list]= }
zle -C offer complete-word offer
offer-all() {
  local line
  for line in \${(f)"$(<lines)"}; do
    BUFFER="$line" CURSOR=$#line
    zle offer
    print END >>offers
  done
  exit
}
zle -N offer-all
bindkey '^X' offer-all`;

const zshTerminal = `zmodload zsh/zpty
zpty asked zsh -f -i
zpty -w asked 'source ./asked'
zpty -w -n asked $'\\x18'
while zpty -r asked line; do :; done`;

/** What zsh offers after each list of words, of which the last is being typed. */
function zshOffers(lists: readonly (readonly string[])[]): string[][] {
  const folder = mkdtempSync(join(tmpdir(), "meridian-zsh-"));
  try {
    writeFileSync(join(folder, "completion"), completionScript("zsh"));
    writeFileSync(join(folder, "asked"), zshAsked);
    const lines = lists.map((words) => ["meridian", ...words].join(" "));
    writeFileSync(join(folder, "lines"), `${lines.join("\n")}\n`);
    spawnSync("zsh", ["-f", "-c", zshTerminal], {
      cwd: folder,
      env: { ...process.env, HOME: folder, ZDOTDIR: folder, TERM: "dumb" },
      timeout: ZSH_MS_MAX,
    });
    return readFileSync(join(folder, "offers"), "utf8")
      .split("END\n")
      .slice(0, -1)
      .map((text) => [...new Set(text.split(/\s+/))].filter((word) => word !== ""));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test(
  "zsh offers the same, where nothing else has loaded its completion",
  { skip: spawnSync("zsh", ["--version"]).error !== undefined && "apt-get install zsh" },
  () => {
    assertOffers(zshOffers);
    assert.deepEqual(zshOffers([["qu"], ["get", "po"], ["check", "lin"]]), [
      ["quickstart"],
      ["pools", "policies"],
      ["lines"],
    ]);
  },
);

/** What fish offers after each list of words, of which the last is being typed. */
function fishOffers(lists: readonly (readonly string[])[]): string[][] {
  const cases = lists.map(
    (words) => `complete -C ${JSON.stringify(["meridian", ...words].join(" "))}; echo END`,
  );
  const script = `${completionScript("fish")}\n${cases.join("\n")}`;
  const { stdout, stderr } = spawnSync("fish", ["--no-config", "-c", script], { encoding: "utf8" });
  assert.equal(stderr, "");
  return stdout
    .split("END\n")
    .slice(0, -1)
    .map((text) => text.split("\n").flatMap((line) => line.split("\t")[0] ?? []))
    .map((words) => words.filter((word) => word !== "").toSorted());
}

test(
  "fish offers verbs, kinds, options and their choices, and no other verb's",
  { skip: spawnSync("fish", ["--version"]).error !== undefined && "apt-get install fish" },
  () => {
    const flags = fishOffers(commands.map(({ name }) => [...name.split(" "), "--"]));
    for (const [index, command] of commands.entries())
      assert.deepEqual(
        flags[index],
        visible(command).flatMap(flagsOf).toSorted(),
        `meridian ${command.name} --`,
      );
    const [firsts = [], seconds, kinds, choices] = fishOffers([
      [""],
      ["store", ""],
      ["get", "po"],
      ["get", "pools", "--output", ""],
    ]);
    assert.deepEqual(
      firsts,
      [...new Set(commands.map(({ name }) => name.split(" ")[0] ?? ""))].toSorted(),
    );
    assert.deepEqual(seconds, ["backup", "compact", "migrate", "restore", "verify"]);
    // It looks at no case.
    assert.deepEqual(kinds, ["Pool", "policies", "pools"]);
    assert.deepEqual(choices, ["json", "table", "yaml"]);
  },
);

test("every verb has an example that begins as it does, and --output json where it prints something", () => {
  for (const { name, examples, options } of commands) {
    assert.ok(
      examples.some((example) => example.includes(`meridian ${name}`)),
      `meridian ${name} has no example of itself`,
    );
    const hasJson = options.some(
      ({ flags, choices }) => /--output\b/.test(flags) && choices?.includes("json") === true,
    );
    assert.equal(hasJson, !withoutJson.has(name), `meridian ${name}: --output json`);
  }
});

test("every verb that asks a server ends with 5 where there is none, and changes nothing", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "meridian-verbs-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "pool.yaml");
  writeFileSync(
    file,
    "{apiVersion: meridian.dev/v1alpha1, kind: Pool, metadata: {name: web}, spec: {}}",
  );
  const words: Readonly<Record<string, string>> = {
    "<TARGET>": "pool/default/web",
    "<NODE>": "default/web/order",
    "<DOCUMENT>": "Pool/default/web",
    "<DOCUMENT...>": "Pool/default/web",
    "<REVISION>": "1",
    "[DOCUMENT]": "Pool/default/web",
    "[KIND]": "pools",
    "[NAME]": "www.example.org",
    "<NAME=STATE...>": "eu=Off",
    "<PLAN>": "to-us",
  };
  const given = {
    ...{ file: [file], reason: "test", for: "1h", yes: true, privateKeys: true },
    state: join(folder, "none"),
  };
  let count = 0;
  for (const { name, arguments: positional, options, run } of commands) {
    if (!options.some(({ flags }) => flags.startsWith("--context"))) continue;
    // They ask the provider that a context names; the doctor needs no server where it has files.
    if (name === "login" || name === "logout" || name === "doctor") continue;
    const taken = positional
      .slice(0, name === "get" ? 1 : undefined)
      .map((each) => words[each.name] ?? "x");
    const defaults = Object.fromEntries(
      options.flatMap((option) =>
        option.defaultValue === undefined ? [] : [[nameOf(option), option.defaultValue]],
      ),
    );
    const own = name === "watch" ? ["Pool"] : taken;
    await assert.rejects(
      run(new CommandInput(own, { ...defaults, ...given, output: "json" })),
      (error) => {
        assert.equal(exitCodeOf(error), ExitCode.unreachable, `meridian ${name}: ${String(error)}`);
        return true;
      },
    );
    count += 1;
  }
  assert.ok(count > 20, `${count} verbs ask a server`);
});

/** As the parser names it: `allowShrink` of `--allow-shrink`. */
function nameOf(option: OptionDefinition): string {
  const [flag = ""] = flagsOf(option);
  return flag.slice(2).replaceAll(/-([a-z])/g, (_all, letter: string) => letter.toUpperCase());
}
