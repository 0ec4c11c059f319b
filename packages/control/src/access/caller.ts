// SPDX-License-Identifier: Apache-2.0

// Who asks, and what that one may do. Roles allow, nothing forbids: a request is allowed if one rule of one role covers it whole.

import type { AccessVerb, RoleRule } from "@meridian/model";

/** What a request is about, as far as rules look at it. */
export interface AccessTarget {
  /** A kind of document, or of what is served, such as Endpoint. */
  readonly kind: string;
  /** Empty for what belongs to no namespace; undefined for all of it at once. */
  readonly namespace: string | undefined;
  readonly labels?: Readonly<Record<string, string>>;
  /** The domain name of a Zone or Record. */
  readonly domain?: string;
}

export class Caller {
  /** Whom the audit log shows. */
  readonly subject: string;
  /** The token's name; undefined for the local socket and for nobody. */
  readonly token: string | undefined;
  /** Where the request came from; empty for the local socket. */
  readonly address: string;
  readonly #rules: readonly RoleRule[];

  constructor(
    subject: string,
    token: string | undefined,
    address: string,
    rules: readonly RoleRule[],
  ) {
    this.subject = subject;
    this.token = token;
    this.address = address;
    this.#rules = rules;
  }

  may(verb: AccessVerb, target: AccessTarget): boolean {
    return isCovered(this.#rules, verb, target);
  }

  /** Whether some rule allows the verb for something of a kind (`*`: of any); each thing is still looked at by itself. */
  mayAnyOf(verb: AccessVerb, kind: string): boolean {
    return this.#rules.some(
      ({ verbs, kinds }) => hasWord(verbs, verb) && (kind === "*" || hasWord(kinds, kind)),
    );
  }

  /** Whether each of some rules allows no more than one of the caller's own does: nobody hands out what he has not. */
  mayGive(rules: readonly RoleRule[]): boolean {
    return rules.every((inner) => this.#rules.some((outer) => isWithinRule(inner, outer)));
  }

  /** Whether everything is allowed: who may do less must not hand out more. */
  get isAdmin(): boolean {
    return this.#rules.some(
      ({ verbs, kinds, namespaces, zones, labels }) =>
        verbs.includes("*") &&
        kinds.includes("*") &&
        namespaces === undefined &&
        zones === undefined &&
        labels === undefined,
    );
  }
}

/** Roles that are always there. */
export const builtinRoles: Readonly<Record<string, readonly RoleRule[]>> = {
  admin: [{ verbs: ["*"], kinds: ["*"] }],
  viewer: [{ verbs: ["get", "list", "watch", "history", "diff", "explain"], kinds: ["*"] }],
};

/** Whether one of some rules is about a verb and what it is done to. */
export function isCovered(
  rules: readonly RoleRule[],
  verb: AccessVerb,
  target: AccessTarget,
): boolean {
  return rules.some((rule) => covers(rule, verb, target));
}

function covers(rule: RoleRule, verb: AccessVerb, target: AccessTarget): boolean {
  const { verbs, kinds, namespaces, zones, labels } = rule;
  if (!hasWord(verbs, verb) || !hasWord(kinds, target.kind)) return false;
  if (namespaces !== undefined && !namespaces.some((each) => each === target.namespace))
    return false;
  const { domain } = target;
  const isInZones =
    domain === undefined
      ? target.namespace !== undefined
      : zones?.some((zone) => isWithin(domain, zone)) === true;
  if (zones !== undefined && !isInZones) return false;
  return Object.entries(labels ?? {}).every(([name, value]) => target.labels?.[name] === value);
}

function isWithinRule(inner: RoleRule, outer: RoleRule): boolean {
  const isBelow = (zone: string): boolean =>
    outer.zones === undefined || outer.zones.some((each) => isWithin(zone, each));
  return (
    inner.verbs.every((verb) => hasWord(outer.verbs, verb)) &&
    inner.kinds.every((kind) => hasWord(outer.kinds, kind)) &&
    (outer.namespaces === undefined ||
      inner.namespaces?.every((each) => outer.namespaces?.includes(each)) === true) &&
    (outer.zones === undefined || inner.zones?.every(isBelow) === true) &&
    Object.entries(outer.labels ?? {}).every(([name, value]) => inner.labels?.[name] === value)
  );
}

function hasWord(words: readonly string[], word: string): boolean {
  return words.includes("*") || words.includes(word);
}

/** Whether a name is a zone's origin or lies below it, whatever the letter case and the last dot. */
function isWithin(name: string, zone: string): boolean {
  const inner = `.${name.toLowerCase().replace(/\.$/, "")}`;
  return inner.endsWith(`.${zone.toLowerCase().replace(/\.$/, "")}`);
}
