// SPDX-License-Identifier: Apache-2.0

// OpenAPI 3.1 of the API: operations from api-operations.ts, documents from the schemas that check them.

import {
  isStoreKind,
  jsonSchemaOf,
  kinds,
  storeKinds,
  storeSchemaOf,
  type JsonSchema,
} from "@meridian/model";
import { apiOperations, type ApiOperation, type ApiParameter } from "./api-operations.ts";

/** The description of the whole API. */
export function openApi(version: string): Readonly<Record<string, unknown>> {
  const documentKinds = [...kinds.filter((kind) => kind !== "Shift"), ...storeKinds];
  const schemas = Object.fromEntries(
    documentKinds.map((kind) => [
      kind,
      withServerFields(isStoreKind(kind) ? storeSchemaOf(kind) : jsonSchemaOf(kind)),
    ]),
  );
  return {
    openapi: "3.1.0",
    info: {
      title: "Meridian",
      version,
      description: "Documents, what is served from them, and why. All JSON; documents may be YAML.",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    servers: [{ url: "/" }],
    security: [{ token: [] }, {}],
    paths: pathsOf(),
    components: {
      securitySchemes: { token: { type: "http", scheme: "bearer" } },
      responses: {
        Refused: {
          description: "Refused, with a code of the reference of errors and every problem at once.",
          content: { "application/json": { schema: { $ref: "#/components/schemas/Refusal" } } },
        },
      },
      schemas: {
        ...schemas,
        Document: {
          oneOf: documentKinds.map((kind) => ({ $ref: `#/components/schemas/${kind}` })),
        },
        Refusal: {
          type: "object",
          required: ["error"],
          properties: {
            error: { type: "string" },
            code: { type: "string" },
            problems: { type: "array", items: { type: "object" } },
            referrers: { type: "array", items: { type: "string" } },
          },
        },
      },
    },
  };
}

function pathsOf(): object {
  const byPath = Map.groupBy(apiOperations, ({ path }) => path);
  return Object.fromEntries(
    [...byPath].map(([path, operations]) => [
      path,
      Object.fromEntries(operations.map((operation) => [operation.method, operationOf(operation)])),
    ]),
  );
}

function operationOf({ id, summary, path, query, body, answer }: ApiOperation): object {
  const inPath = [...path.matchAll(/\{([a-z]+)\}/g)].map(([, name]) => ({
    name,
    in: "path",
    required: true,
    schema: { type: "string" },
  }));
  return {
    operationId: id,
    summary,
    parameters: [...inPath, ...query.map(parameterOf)],
    ...(body === undefined ? {} : { requestBody: bodyOf(body) }),
    responses: {
      "200": { description: answer, content: { "application/json": { schema: {} } } },
      default: { $ref: "#/components/responses/Refused" },
    },
  };
}

function parameterOf({ name, summary, isRequired, isNumber, choices }: ApiParameter): object {
  return {
    name,
    in: "query",
    description: summary,
    required: isRequired === true,
    schema: {
      type: isNumber === true ? "integer" : "string",
      ...(choices === undefined ? {} : { enum: choices }),
    },
  };
}

function bodyOf(body: NonNullable<ApiOperation["body"]>): object {
  const document = { $ref: "#/components/schemas/Document" };
  if (body === "object")
    return { required: true, content: { "application/json": { schema: { type: "object" } } } };
  const schema =
    body === "document" ? document : { oneOf: [document, { type: "array", items: document }] };
  return {
    required: true,
    content: { "application/json": { schema }, "application/yaml": { schema } },
  };
}

/** Metadata that the server writes; of it only `resourceVersion` means something in a request. */
function withServerFields(schema: JsonSchema): object {
  const { metadata = {} } = schema.properties ?? {};
  const readOnly = (type: string, description: string): object => ({
    type,
    description,
    readOnly: true,
  });
  return {
    ...schema,
    properties: {
      ...schema.properties,
      metadata: {
        ...metadata,
        properties: {
          ...metadata.properties,
          resourceVersion: {
            type: "string",
            description: "Revision that wrote it last; applying with another one is refused.",
          },
          creationRevision: readOnly("string", "Revision that created it."),
          owner: readOnly("string", "`api`, `operator:CLUSTER` or `file:PATH`."),
          uid: readOnly("string", "Of this document for its life."),
          generation: readOnly("integer", "Grows with each change of `spec`."),
        },
      },
    },
  };
}
