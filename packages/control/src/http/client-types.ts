// SPDX-License-Identifier: Apache-2.0

// The requests and answers of the API as TypeScript types, from what its OpenAPI is made from: what the command's client is typed by.

import { COMPONENTS, answerSchemas, type AnswerSchema } from "./answer-schemas.ts";
import { apiOperations, type ApiOperation, type ApiParameter } from "./api-operations.ts";

/** The module of the types, not formatted. */
export function renderClientTypes(): string {
  const { components, answers } = answerSchemas();
  const members = apiOperations.map((operation) =>
    memberOf(operation, answers[operation.id] ?? {}),
  );
  const interfaces = Object.entries(components)
    .filter(([name]) => name !== "Refusal")
    .map(([name, schema]) => `export type ${name} = ${typeOf(schema)};\n`);
  return `// SPDX-License-Identifier: Apache-2.0

// Made from the description of the API (packages/control/src/http/client-types.ts); a test keeps it so.

${interfaces.join("\n")}
/** Every request that the API describes. */
export type ApiRequest =
${members.join("\n")};

/** Paths of a method. */
export type PathOf<Method extends ApiRequest["method"]> = Extract<
  ApiRequest,
  { readonly method: Method }
>["path"];

/** What may stand in the query of a request. */
export type QueryOf<Method extends ApiRequest["method"], Path> = Matching<
  Extract<ApiRequest, { readonly method: Method }>,
  Path
>;

/** What a request is answered. */
export type AnswerOf<Method extends ApiRequest["method"], Path> = Answering<
  Extract<ApiRequest, { readonly method: Method }>,
  Path
>;

type Answering<Request extends ApiRequest, Path> = Request extends ApiRequest
  ? Path extends Request["path"]
    ? Request["answer"]
    : never
  : never;

/** What a list is of. */
export type ItemOf<Path> = AnswerOf<"get", Path> extends { readonly items: readonly (infer Item)[] } ? Item : never;

type Matching<Request extends ApiRequest, Path> = Request extends ApiRequest
  ? Path extends Request["path"]
    ? Request["query"]
    : never
  : never;
`;
}

function memberOf({ method, path, query }: ApiOperation, answer: AnswerSchema): string {
  const text = path.replaceAll(/\{[a-z]+\}/g, "${string}");
  const quote = text === path ? '"' : "`";
  const fields = query.map(fieldOf).join("; ");
  const type = fields === "" ? "{}" : `{ ${fields} }`;
  return `  | { readonly method: "${method}"; readonly path: ${quote}${text}${quote}; readonly query: ${type}; readonly answer: ${typeOf(answer)} }`;
}

function fieldOf({ name, choices, isRequired }: ApiParameter): string {
  const type = choices === undefined ? "string" : choices.map((word) => `"${word}"`).join(" | ");
  return isRequired === true
    ? `readonly ${name}: ${type}`
    : `readonly ${name}?: ${type} | undefined`;
}

function typeOf(schema: AnswerSchema): string {
  const { $ref, type, properties = {}, required = [], items, additionalProperties } = schema;
  if ($ref !== undefined) return $ref.slice(COMPONENTS.length);
  if (schema.anyOf !== undefined) return schema.anyOf.map(typeOf).join(" | ");
  if (schema.enum !== undefined) return schema.enum.map((word) => `"${word}"`).join(" | ");
  if (type === "array") return `readonly (${typeOf(items ?? {})})[]`;
  if (type === "integer" || type === "number") return "number";
  if (type === "string" || type === "boolean") return type;
  if (type !== "object") return "unknown";
  if (additionalProperties !== undefined)
    return `Readonly<Record<string, ${typeOf(additionalProperties)}>>`;
  const fields = Object.entries(properties).map(
    ([name, each]) => `readonly ${name}${required.includes(name) ? "" : "?"}: ${typeOf(each)}`,
  );
  return `{ ${fields.join("; ")} }`;
}
