// SPDX-License-Identifier: Apache-2.0

import { apiOperations } from "./api-operations.ts";

/** The API for people, as one page that loads nothing else. */
export function referencePage(version: string): string {
  const rows = apiOperations.map(({ method, path, summary, query, answer }) => {
    const parameters = query
      .map(({ name, summary: text }) => `<li><code>${escaped(name)}</code> ${escaped(text)}</li>`)
      .join("");
    const list = parameters === "" ? "" : `<ul>${parameters}</ul>`;
    return `<section><h2><code>${method.toUpperCase()} ${escaped(path)}</code></h2><p>${escaped(summary)}</p>${list}<p>Answer: ${escaped(answer)}</p></section>`;
  });
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Meridian API</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}section{border-top:1px solid #8886}h2{font-size:1rem}code{font-family:ui-monospace,monospace}</style></head>
<body><h1>Meridian ${escaped(version)} API</h1><p>For programs: <a href="openapi.json">openapi.json</a>. A token goes in the header <code>Authorization: Bearer TOKEN</code>.</p>${rows.join("\n")}</body></html>
`;
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

/** docs/reference/api.md. */
export function renderApiReference(): string {
  const sections = apiOperations.map(({ method, path, summary, query, answer }) => {
    const rows = query.map(
      ({ name, summary: text }) => `| \`${name}\` | ${text.replaceAll("|", "\\|")} |`,
    );
    const table =
      rows.length === 0 ? [] : ["| parameter | meaning |", "| --- | --- |", ...rows, ""];
    return [
      `## ${method.toUpperCase()} ${path}`,
      "",
      summary,
      "",
      ...table,
      `Answer: ${answer}`,
      "",
    ];
  });
  return `${[
    "# The HTTP interface",
    "",
    "Everything below `/v1` is JSON; documents may be sent as YAML, JSON or JSON lines, by their content type. The same is served",
    "as OpenAPI 3.1 at `/v1/openapi.json` and as a page at `/v1/reference`. `meridian` itself asks here. A refusal has a status,",
    "a `code` of the [reference of errors](errors.md), and in `problems` everything that is wrong. This page is made from the table",
    "that the server's own description is made from.",
    "",
    ...sections.flat(),
  ]
    .join("\n")
    .trimEnd()}\n`;
}
