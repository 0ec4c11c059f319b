// SPDX-License-Identifier: Apache-2.0

// The requests of the API as TypeScript types, from the same operations as its OpenAPI: what the command's client is typed by.

import { apiOperations, type ApiOperation, type ApiParameter } from "./api-operations.ts";

/** The module of the types, not formatted. */
export function renderClientTypes(): string {
  const members = apiOperations.map(memberOf);
  return `// SPDX-License-Identifier: Apache-2.0

// Made from the description of the API (packages/control/src/http/client-types.ts); a test keeps it so.

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

type Matching<Request extends ApiRequest, Path> = Request extends ApiRequest
  ? Path extends Request["path"]
    ? Request["query"]
    : never
  : never;
`;
}

function memberOf({ method, path, query }: ApiOperation): string {
  const text = path.replaceAll(/\{[a-z]+\}/g, "${string}");
  const quote = text === path ? '"' : "`";
  const fields = query.map(fieldOf).join("; ");
  const type = fields === "" ? "{}" : `{ ${fields} }`;
  return `  | { readonly method: "${method}"; readonly path: ${quote}${text}${quote}; readonly query: ${type} }`;
}

function fieldOf({ name, choices, isRequired }: ApiParameter): string {
  const type = choices === undefined ? "string" : choices.map((word) => `"${word}"`).join(" | ");
  return isRequired === true
    ? `readonly ${name}: ${type}`
    : `readonly ${name}?: ${type} | undefined`;
}
