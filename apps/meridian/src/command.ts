// SPDX-License-Identifier: Apache-2.0

// How a command is described: names, arguments, flags and environment variables in one table (commands.ts), from which the parser, the
// help, docs/reference/cli.md and the completions of shells are made.

import { CommandError, ExitCode } from "./exit-code.ts";

/** A flag and the environment variable that stands in for it. */
export interface OptionDefinition {
  /** As commander reads it: `-f, --file <PATH...>`. */
  readonly flags: string;
  readonly summary: string;
  readonly environment?: string;
  readonly defaultValue?: string;
  /** What the default is where it depends on the host. */
  readonly defaultText?: string;
  readonly choices?: readonly string[];
  readonly isHidden?: boolean;
}

export interface ArgumentDefinition {
  /** `<ZONE>`, `[NAME]` or `[NAME...]`. */
  readonly name: string;
  readonly summary: string;
  readonly choices?: readonly string[];
}

export interface CommandDefinition {
  /** Words after `meridian`: `up`, `snapshot inspect`. */
  readonly name: string;
  readonly summary: string;
  readonly arguments: readonly ArgumentDefinition[];
  readonly options: readonly OptionDefinition[];
  readonly examples: readonly string[];
  /** Does the work; other failures than the exit code says are thrown. */
  readonly run: (input: CommandInput) => Promise<ExitCode>;
}

/** What a command was given, read with the checks that its flags call for. */
export class CommandInput {
  readonly arguments: readonly string[];
  readonly #options: Readonly<Record<string, unknown>>;

  constructor(positional: readonly string[], options: Readonly<Record<string, unknown>>) {
    this.arguments = positional;
    this.#options = options;
  }

  /** The positional argument at `index`; the parser has seen to the required ones. */
  argument(index: number): string {
    return this.arguments[index] ?? "";
  }

  text(name: string): string | undefined {
    const value = this.#options[name];
    return typeof value === "string" ? value : undefined;
  }

  /** A text that has a default, so is always there. */
  requiredText(name: string): string {
    const value = this.text(name);
    if (value === undefined || value === "")
      throw new CommandError(ExitCode.invalid, `Option --${kebab(name)} is missing`);
    return value;
  }

  /** Values of a flag that may be repeated; an environment variable has them between commas. */
  list(name: string): string[] {
    const value = this.#options[name];
    if (Array.isArray(value))
      return value
        .flatMap((each: unknown) => String(each).split(","))
        .filter((each) => each !== "");
    return typeof value === "string" ? value.split(",").filter((each) => each !== "") : [];
  }

  flag(name: string): boolean {
    const value = this.#options[name];
    return value === true || value === "1" || value === "true" || value === "yes";
  }

  /** A whole number between two limits. */
  wholeNumber(name: string, least: number, most: number): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const value = Number(text);
    if (Number.isInteger(value) && value >= least && value <= most) return value;
    throw new CommandError(
      ExitCode.invalid,
      `Option --${kebab(name)} is "${text}", expected a whole number from ${least} to ${most}`,
    );
  }

  isJson(): boolean {
    return this.text("output") === "json";
  }
}

function kebab(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}
