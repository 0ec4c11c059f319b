// SPDX-License-Identifier: Apache-2.0

// Runs a transcript of the state machines: blocks of commands, a line `----`, and what they answer, up to an empty line.
//
//   rule unhealthyThreshold=3 …        makes a fresh endpoint at time 0
//   pass | fail | hold [reason] [xN]   results, one interval after another
//   wait MS                            time passes, then a time input
//   rerule NAME=VALUE…                 the rule changes under the endpoint
//   decided VERDICT | stale VERDICT    somebody else has judged
//   freeze MS | thaw                   self-suspicion
//   judge quorum=… min=… prev=… VANTAGE=VERDICT[@AGE]…
//   suspect probed=… failing=… sudden=… sites=… [isolated] [interval=…]

import { defaultTiming, type CheckTiming, type Verdict } from "./check.ts";
import { judge } from "./judge.ts";
import { defaultSuspicionPolicy, suspect, type SuspicionState } from "./suspicion.ts";
import { earliestChangeMs, initialState, step, type VerdictInput } from "./verdict.ts";

/** The transcript with the answers of the present code. */
export function runTranscript(text: string): string {
  const player = new Player();
  const blocks = text.trimEnd().split("\n\n");
  const played = blocks.map((block) => {
    const [commands = ""] = block.split(/^----$/m);
    const lines = commands.trimEnd().split("\n");
    const answers = lines.filter((line) => !line.startsWith("#")).flatMap((l) => player.play(l));
    return answers.length === 0
      ? lines.join("\n")
      : `${lines.join("\n")}\n----\n${answers.join("\n")}`;
  });
  return `${played.join("\n\n")}\n`;
}

class Player {
  #rule: CheckTiming = defaultTiming;
  #state = initialState(defaultTiming, 0);
  #nowMs = 0;
  #suspicion: SuspicionState = { kind: "trusting" };

  play(line: string): string[] {
    const [command = "", ...words] = line.split(" ");
    switch (command) {
      case "rule":
        this.#rule = ruleOf({ ...defaultTiming, intervalMs: 1000, timeoutMs: 500 }, words);
        this.#nowMs = 0;
        this.#state = initialState(this.#rule, 0);
        return [this.#describe()];
      case "rerule":
        this.#rule = ruleOf(this.#rule, words);
        return this.#take({ kind: "rule", atMs: this.#nowMs });
      case "pass":
      case "fail":
      case "hold":
        return this.#results(command, words);
      case "wait":
        this.#nowMs += Number(words[0]);
        return this.#take({ kind: "time", atMs: this.#nowMs });
      case "decided":
      case "stale": {
        const verdict = verdictOf(words[0] ?? "");
        const stale = command === "stale";
        const reason = stale ? "nothing pushed" : "pushed";
        return this.#take({ kind: "decided", verdict, reason, stale, atMs: this.#nowMs });
      }
      case "freeze": {
        const untilMs = this.#nowMs + Number(words[0]);
        return this.#take({ kind: "freeze", untilMs, reason: "all failed", atMs: this.#nowMs });
      }
      case "thaw":
        return this.#take({ kind: "thaw", atMs: this.#nowMs });
      case "judge":
        return [judgeLine(words)];
      case "suspect":
        return [this.#suspect(words)];
      default:
        return [`unknown command "${command}"`];
    }
  }

  #results(outcome: "pass" | "fail" | "hold", words: string[]): string[] {
    const last = words.at(-1) ?? "";
    const times = /^x[0-9]+$/.test(last) ? Number(last.slice(1)) : 1;
    const reason = (times === 1 ? words : words.slice(0, -1)).join(" ");
    const answers: string[] = [];
    for (let turn = 0; turn < times; turn++) {
      this.#nowMs += this.#rule.intervalMs;
      const atMs = this.#nowMs;
      answers.push(
        ...this.#take({ kind: "result", outcome, reason: reason === "" ? outcome : reason, atMs }),
      );
    }
    return answers;
  }

  #take(input: VerdictInput): string[] {
    const result = step(this.#rule, this.#state, input);
    this.#state = result.state;
    const change =
      result.change === undefined
        ? ""
        : ` CHANGE ${result.change.previous} -> ${result.change.verdict} (${result.change.reason})`;
    const wake = result.wakeAtMs === undefined ? "" : ` wake=${result.wakeAtMs}`;
    return [`${this.#describe()}${wake}${change}`];
  }

  #describe(): string {
    const state = this.#state;
    const change = earliestChangeMs(this.#rule, state, this.#nowMs);
    const counts = `failures=${state.failures} successes=${state.successes}`;
    const condition = state.condition === "none" ? "" : ` condition=${state.condition}`;
    return `${this.#nowMs} ${state.verdict} opinion=${state.opinion} ${counts} earliest=${change}${condition}`;
  }

  #suspect(words: readonly string[]): string {
    const fields = fieldsOf(words);
    const number = (name: string): number => Number(fields.get(name) ?? "0");
    this.#nowMs = number("at");
    const view = {
      probedCount: number("probed"),
      failingCount: number("failing"),
      suddenCount: number("sudden"),
      suddenSiteCount: number("sites"),
      isolated: words.includes("isolated"),
      intervalMs: 1000,
    };
    this.#suspicion = suspect(defaultSuspicionPolicy, this.#suspicion, view, this.#nowMs);
    const state = this.#suspicion;
    return state.kind === "frozen" ? `frozen until ${state.untilMs}: ${state.reason}` : state.kind;
  }
}

function judgeLine(words: readonly string[]): string {
  const fields = fieldsOf(words);
  const quorum = fields.get("quorum") ?? "majority";
  const reports = words
    .filter((word) => word.includes(":"))
    .map((word) => {
      const [vantage = "", rest = ""] = word.split(":");
      const [verdict = "", age = "0"] = rest.split("@");
      return { vantage, verdict: verdictOf(verdict), reason: verdict, atMs: 10_000 - Number(age) };
    });
  const result = judge(
    {
      freshForMs: Number(fields.get("fresh") ?? "3000"),
      minVantages: Number(fields.get("min") ?? "1"),
      quorum: quorum === "majority" ? "majority" : Number(quorum),
      inverted: words.includes("inverted"),
    },
    verdictOf(fields.get("prev") ?? "unknown"),
    reports,
    10_000,
  );
  const held = result.held ? " held" : "";
  const by = result.vantages.length === 0 ? "" : ` by ${result.vantages.join(",")}`;
  return `${result.verdict}${held} ${result.healthyCount}/${result.freshCount} (${result.reason})${by}`;
}

function ruleOf(base: CheckTiming, words: readonly string[]): CheckTiming {
  const fields = fieldsOf(words);
  const number = (name: string, otherwise: number): number => Number(fields.get(name) ?? otherwise);
  const flag = (name: string, otherwise: boolean): boolean =>
    fields.has(name) ? fields.get(name) === "true" : otherwise;
  const damping = fields.get("damping")?.split("/").map(Number);
  const [maxFlips = 1, windowMs = 0, holdMs = 0] = damping ?? [];
  const okThreshold = fields.get("okThreshold");
  return {
    ...base,
    intervalMs: number("interval", base.intervalMs),
    unhealthyThreshold: number("unhealthyThreshold", base.unhealthyThreshold),
    healthyThreshold: number("healthyThreshold", base.healthyThreshold),
    holdDownMs: number("holdDown", base.holdDownMs),
    initial: verdictOf(fields.get("initial") ?? base.initial),
    inverted: flag("inverted", base.inverted),
    disabled: flag("disabled", base.disabled),
    failFast: flag("failFast", base.failFast),
    ...(okThreshold === undefined ? {} : { okThreshold: Number(okThreshold) }),
    ...(damping === undefined ? {} : { flapDamping: { maxFlips, windowMs, holdMs } }),
  };
}

function fieldsOf(words: readonly string[]): Map<string, string> {
  const pairs = words.filter((word) => word.includes("="));
  return new Map(
    pairs.map((word) => [word.slice(0, word.indexOf("=")), word.slice(word.indexOf("=") + 1)]),
  );
}

function verdictOf(text: string): Verdict {
  return text === "healthy" || text === "unhealthy" ? text : "unknown";
}
