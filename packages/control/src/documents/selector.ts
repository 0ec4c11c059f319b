// SPDX-License-Identifier: Apache-2.0

// Label and field selectors, in the words of Kubernetes: requirements between commas, all of which must hold.
//
//   labels:  team=shop, env!=prod, tier in (a, b), tier notin (c), canary, !canary
//   fields:  metadata.name=web, spec.members.eu.address=192.0.2.1, spec.healthCheck!=web

import { RequestRefusal } from "../request-refusal.ts";
import { member } from "./document-key.ts";

const REQUIREMENTS_MAX = 64;
const TEXT_LENGTH_MAX = 4096;

/** What one requirement says of a label or field. */
export interface Requirement {
  readonly key: string;
  readonly operator: "in" | "notin" | "exists" | "absent";
  readonly values: readonly string[];
}

/** Whether a document is selected. */
export type Selector = (document: unknown) => boolean;

/** A selector of labels. Throws REQUEST_INVALID. */
export function labelSelector(text: string): Selector {
  const requirements = parseRequirements(text, "labelSelector");
  return (document) => {
    const labels = member(member(document, "metadata"), "labels");
    return requirements.every((each) => holds(each, textOf(member(labels, each.key))));
  };
}

/** A selector of fields by path; only = and != are for fields. Throws REQUEST_INVALID. */
export function fieldSelector(text: string): Selector {
  const requirements = parseRequirements(text, "fieldSelector");
  for (const { operator, values, key } of requirements)
    if (operator === "exists" || operator === "absent" || values.length !== 1)
      throw wrong("fieldSelector", key, "PATH=VALUE or PATH!=VALUE");
  return (document) =>
    requirements.every((each) => {
      let value = document;
      for (const step of each.key.split(".")) value = member(value, step);
      return holds(each, textOf(value));
    });
}

/** The requirements of a text. */
export function parseRequirements(text: string, parameter: string): Requirement[] {
  if (text.length > TEXT_LENGTH_MAX)
    throw wrong(parameter, `${text.slice(0, 20)}…`, `at most ${TEXT_LENGTH_MAX} characters`);
  const parts = text.split(/,(?![^(]*\))/).map((part) => part.trim());
  if (parts.length > REQUIREMENTS_MAX)
    throw wrong(parameter, `${parts.length} parts`, `at most ${REQUIREMENTS_MAX}`);
  return parts.filter((part) => part !== "").map((part) => parseRequirement(part, parameter));
}

const keyForm = "[A-Za-z0-9]([A-Za-z0-9._/-]*[A-Za-z0-9])?";
const equality = new RegExp(`^(${keyForm})\\s*(==|=|!=)\\s*([^=!(),\\s]*)$`);
const membership = new RegExp(`^(${keyForm})\\s+(in|notin)\\s*\\(([^()]*)\\)$`);
const existence = new RegExp(`^(!?)\\s*(${keyForm})$`);

function parseRequirement(part: string, parameter: string): Requirement {
  const equal = equality.exec(part);
  if (equal !== null) {
    const [, key = "", , sign = "", value = ""] = equal;
    return { key, operator: sign === "!=" ? "notin" : "in", values: [value] };
  }
  const among = membership.exec(part);
  if (among !== null) {
    const [, key = "", , word = "", list = ""] = among;
    const values = list.split(",").map((value) => value.trim());
    return { key, operator: word === "in" ? "in" : "notin", values };
  }
  const exists = existence.exec(part);
  if (exists === null)
    throw wrong(parameter, part, "KEY=VALUE, KEY!=VALUE, KEY in (A, B), KEY or !KEY");
  return { key: exists[2] ?? "", operator: exists[1] === "!" ? "absent" : "exists", values: [] };
}

/** As in Kubernetes, `!=` and `notin` hold where there is no such label. */
function holds({ operator, values }: Requirement, value: string | undefined): boolean {
  switch (operator) {
    case "in":
      return value !== undefined && values.includes(value);
    case "notin":
      return value === undefined || !values.includes(value);
    case "exists":
      return value !== undefined;
    case "absent":
      return value === undefined;
  }
}

function textOf(value: unknown): string | undefined {
  if (typeof value === "string") return value;
  return typeof value === "number" || typeof value === "boolean" ? String(value) : undefined;
}

function wrong(parameter: string, found: string, wanted: string): RequestRefusal {
  return new RequestRefusal(
    "REQUEST_INVALID",
    `Cannot select: a part of ${parameter} is "${found}", expected ${wanted}`,
  );
}
