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
import { COMPONENTS, answerSchemas, type AnswerSchema } from "./answer-schemas.ts";
import { apiOperations, type ApiOperation, type ApiParameter } from "./api-operations.ts";

/** The description of the whole API. */
export function openApi(version: string): Readonly<Record<string, unknown>> {
  const documentKinds = [...kinds.filter((kind) => kind !== "Shift"), ...storeKinds];
  const schemas = Object.fromEntries(
    documentKinds.map((kind) => [
      kind,
      withServerFields(
        kind === "Token"
          ? tokenSchema()
          : isStoreKind(kind)
            ? storeSchemaOf(kind)
            : jsonSchemaOf(kind),
      ),
    ]),
  );
  const { components, answers } = answerSchemas();
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
    paths: pathsOf(answers),
    components: {
      securitySchemes: { token: { type: "http", scheme: "bearer" } },
      responses: {
        Refused: {
          description: "Refused, with a code of the reference of errors and every problem at once.",
          content: { "application/json": { schema: { $ref: `${COMPONENTS}Refusal` } } },
        },
      },
      schemas: {
        ...components,
        ...schemas,
        Document: {
          oneOf: documentKinds.map((kind) => ({ $ref: `${COMPONENTS}${kind}` })),
        },
      },
    },
  };
}

function pathsOf(answers: Readonly<Record<string, AnswerSchema>>): object {
  const byPath = Map.groupBy(apiOperations, ({ path }) => path);
  return Object.fromEntries(
    [...byPath].map(([path, operations]) => [
      path,
      Object.fromEntries(
        operations.map((operation) => [
          operation.method,
          operationOf(operation, answers[operation.id] ?? {}),
        ]),
      ),
    ]),
  );
}

function operationOf(
  { id, summary, path, query, body, answer }: ApiOperation,
  schema: AnswerSchema,
): object {
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
      "200": {
        description: answer,
        content: {
          "application/json": { schema },
          ...(query.some(({ name }) => name === "watch")
            ? { "text/event-stream": { schema: { type: "string" } } }
            : {}),
        },
      },
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
  const document = { $ref: `${COMPONENTS}Document` };
  if (body === "object")
    return { required: true, content: { "application/json": { schema: { type: "object" } } } };
  const schema =
    body === "document" ? document : { oneOf: [document, { type: "array", items: document }] };
  return {
    required: true,
    content: { "application/json": { schema }, "application/yaml": { schema } },
  };
}

/** Of a token, its hash never leaves the server. */
function tokenSchema(): JsonSchema {
  const whole = storeSchemaOf("Token");
  const { spec = {} } = whole.properties ?? {};
  const { hash: _hash, ...properties } = spec.properties ?? {};
  const required = (spec.required ?? []).filter((name) => name !== "hash");
  return { ...whole, properties: { ...whole.properties, spec: { ...spec, properties, required } } };
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
