// SPDX-License-Identifier: Apache-2.0

// Holds answers of the API against its own description, by a validator of others. Nothing may be in them that the description does not have.

import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import { COMPONENTS } from "../http/answer-schemas.ts";
import { fieldsOf, member } from "../documents/document-key.ts";
import { isKind, isStoreKind } from "@meridian/model";

const methods = ["get", "put", "post", "delete"];
const PROBLEMS_MAX = 10;

/** What a server answered. */
export interface SeenAnswer {
  readonly method: string;
  /** With or without its query. */
  readonly path: string;
  readonly status: number;
  readonly contentType: string;
  readonly text: string;
}

export class AnswerCheck {
  readonly #ajv = new Ajv2020({ strict: false, allErrors: true, validateFormats: false });
  readonly #operations: readonly { readonly method: string; readonly path: string }[];
  readonly #seen = new Set<string>();

  /** `description` is what `/v1/openapi.json` gives. */
  constructor(description: unknown) {
    const paths = fieldsOf(member(description, "paths"));
    this.#operations = Object.entries(paths).flatMap(([path, item]) =>
      methods
        .filter((each) => member(item, each) !== undefined)
        .map((method) => ({ method, path })),
    );
    this.#ajv.addSchema({ $id: "api", ...fieldsOf(closed(description)) });
  }

  /** `METHOD PATH` of operations of which no answer of success was seen. */
  get unseen(): string[] {
    return this.#operations
      .map(({ method, path }) => `${method} ${path}`)
      .filter((each) => !this.#seen.has(each));
  }

  /** How an answer differs from what is described; undefined where it does not. */
  problemOf({ method, path, status, contentType, text }: SeenAnswer): string | undefined {
    const at = path.split("?", 1)[0] ?? "";
    const word = method.toLowerCase();
    const operation = this.#operations.find(
      (each) => each.method === word && patternOf(each.path).test(at),
    );
    const isJson = contentType.startsWith("application/json");
    if (operation === undefined || (!isJson && status === 200)) return undefined;
    const what = `${method} ${at} ${status}`;
    if (!isJson) return `${what} is "${contentType}"`;
    if (status === 200) this.#seen.add(`${word} ${operation.path}`);
    const validate = this.#validatorOf(operation, status === 200);
    if (validate(JSON.parse(text))) return undefined;
    const problems = (validate.errors ?? []).slice(0, PROBLEMS_MAX);
    return `${what}: ${this.#ajv.errorsText(problems)} ${JSON.stringify(problems[0]?.params)} in ${text.slice(0, 2000)}`;
  }

  #validatorOf(
    { method, path }: { readonly method: string; readonly path: string },
    isDone: boolean,
  ): ValidateFunction {
    const place = path.replaceAll("/", "~1").replaceAll("{", "%7B").replaceAll("}", "%7D");
    const pointer = isDone
      ? `/paths/${place}/${method}/responses/200/content/application~1json/schema`
      : "/components/schemas/Refusal";
    const found = this.#ajv.getSchema(`api#${pointer}`);
    if (found === undefined) throw new Error(`Nothing is described at ${pointer}`);
    return found;
  }
}

function patternOf(path: string): RegExp {
  return new RegExp(`^${path.replaceAll(/\{[a-z]+\}/g, "[^/]+")}$`);
}

/** The description with objects of answers that have what it says and nothing else; kinds of documents stay as they are. */
function closed(value: unknown, place = "#"): unknown {
  const kind = place.startsWith(COMPONENTS) ? place.slice(COMPONENTS.length) : "";
  if (isKind(kind) || isStoreKind(kind)) return value;
  if (Array.isArray(value)) return value.map((each: unknown) => closed(each, `${place}/`));
  if (typeof value !== "object" || value === null) return value;
  const fields = Object.entries(value).map(([name, each]: [string, unknown]) => [
    name,
    closed(each, `${place}/${name}`),
  ]);
  const isOpen = "properties" in value && "type" in value && !("additionalProperties" in value);
  return { ...Object.fromEntries(fields), ...(isOpen ? { additionalProperties: false } : {}) };
}
