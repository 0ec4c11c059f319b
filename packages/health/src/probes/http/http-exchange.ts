// SPDX-License-Identifier: Apache-2.0

import type { HttpFields, ProbeTarget } from "../../check.ts";
import { HttpExpectation } from "./http-expectation.ts";
import { ResponseParser } from "./response-parser.ts";

/**
 * What the probes of one check have in common: what is asked, what the answer must be like, and parsers, which only probes on
 * their way need. So a target costs a hundred bytes, however long its headers are.
 */
export class HttpExchange {
  readonly expectation: HttpExpectation;
  readonly keepAlive: boolean;
  readonly #fields: HttpFields;
  readonly #beforeHost: string;
  readonly #afterHost: string;
  readonly #idleParsers: ResponseParser[] = [];

  constructor(fields: HttpFields) {
    this.#fields = fields;
    this.expectation = new HttpExpectation(fields);
    this.keepAlive = fields.keepAlive;
    const given = new Set(Object.keys(fields.headers).map((name) => name.toLowerCase()));
    const after: string[] = [];
    if (!given.has("user-agent")) after.push("User-Agent: meridian-health");
    if (!given.has("accept")) after.push("Accept: */*");
    if (!given.has("connection"))
      after.push(`Connection: ${fields.keepAlive ? "keep-alive" : "close"}`);
    for (const [name, value] of Object.entries(fields.headers)) after.push(`${name}: ${value}`);
    this.#beforeHost = `${fields.method} ${fields.path} HTTP/1.1\r\n${given.has("host") ? "" : "Host: "}`;
    this.#afterHost = `${given.has("host") ? "" : "\r\n"}${after.join("\r\n")}\r\n\r\n`;
  }

  /** The whole HTTP/1.1 request. */
  requestTo(target: ProbeTarget, schemePort: number): Buffer {
    const host = this.#beforeHost.endsWith("Host: ") ? this.authorityOf(target, schemePort) : "";
    return Buffer.from(`${this.#beforeHost}${host}${this.#afterHost}`, "latin1");
  }

  /** Value of Host or :authority: what the check says, else the target's name, else its address; port where it is not the scheme's. */
  authorityOf(target: ProbeTarget, schemePort: number): string {
    if (this.#fields.host !== undefined) return this.#fields.host;
    const name = target.hostName ?? target.address;
    const host = name.includes(":") ? `[${name}]` : name;
    return target.port === schemePort ? host : `${host}:${target.port}`;
  }

  /** A parser for one answer, ready for its first byte. */
  takeParser(): ResponseParser {
    const parser = this.#idleParsers.pop() ?? this.#makeParser();
    parser.reset();
    return parser;
  }

  /** The parser is not used any more. */
  giveBack(parser: ResponseParser): void {
    this.#idleParsers.push(parser);
  }

  #makeParser(): ResponseParser {
    return new ResponseParser({
      isHead: this.#fields.method === "HEAD",
      body: this.expectation.wantsBody,
      header: this.expectation.loadHeaderName,
      drain: this.keepAlive,
    });
  }
}

/** The exchange of each check. */
export class HttpExchanges {
  readonly #byCheck = new WeakMap<HttpFields, HttpExchange>();

  of(check: HttpFields): HttpExchange {
    const known = this.#byCheck.get(check);
    if (known !== undefined) return known;
    const made = new HttpExchange(check);
    this.#byCheck.set(check, made);
    return made;
  }
}
